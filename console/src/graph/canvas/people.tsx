/** Cursors of those who are present. It only shows theirs: who looks tells nobody where (K2). */
import type { Graph, Presence } from '@dao-api/client'
import { useStore, ViewportPortal } from '@xyflow/react'
import { useSyncExternalStore } from 'react'
import { hueOf } from '../../shared/format.ts'
import { isObject } from '../../shared/is_object.ts'

const NOBODY: readonly Presence[] = []

function useOthers(graph: Graph | null): readonly Presence[] {
  return useSyncExternalStore(
    (listener) => graph?.subscribeOthers(listener) ?? (() => undefined),
    () => graph?.others ?? NOBODY,
  )
}

export function OthersCursors({ graph }: { graph: Graph }) {
  const others = useOthers(graph)
  const zoom = useStore((state) => state.transform[2])
  return (
    <ViewportPortal>
      {others.map(({ clientId, userId, slots }) => {
        const cursor = slots.cursor
        if (!isObject(cursor) || typeof cursor.x !== 'number' || typeof cursor.y !== 'number') return null
        const color = `hsl(${hueOf(userId)} 60% 38%)`
        const transform = `translate(${cursor.x}px, ${cursor.y}px) scale(${1 / zoom})`
        return (
          <div key={clientId} className="gp-cursor" style={{ transform }} aria-hidden="true">
            <svg width="18" height="20" viewBox="0 0 18 20" role="presentation">
              <path d="M1.5 1.5l14 7.2-6.3 1.9-3.4 6.2z" fill={color} stroke="white" strokeWidth="1.5" />
            </svg>
            <span style={{ background: color }}>{userId}</span>
          </div>
        )
      })}
    </ViewportPortal>
  )
}
