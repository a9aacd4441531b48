/** Pointers of others, and this one's. */
import { useReactFlow, useStore, useStoreApi, ViewportPortal } from '@xyflow/react'
import { type CSSProperties, type JSX, useEffect } from 'react'
import { type AnyStore, useOthers } from './hooks.ts'

const layer: CSSProperties = { position: 'absolute', top: 0, left: 0, pointerEvents: 'none', zIndex: 1000 }

/**
 * Shows the pointers of others with their names, and tells them where this one is. A child of `<ReactFlow>`.
 *
 * The elements have the classes `dao-cursor`, `dao-cursor-name` and `dao-drag-box`.
 */
export function Cursors({ flow }: { flow: { store: AnyStore } }): JSX.Element {
  useOwnCursor(flow.store)
  const others = useOthers(flow)
  const zoom = useStore((state) => state.transform[2])
  return (
    <ViewportPortal>
      {others.map(({ clientId, name, color, cursor, dragBox }) => (
        <div key={clientId} style={layer} aria-hidden="true">
          {dragBox !== null && (
            <div
              className="dao-drag-box"
              style={{
                ...layer,
                width: dragBox.width,
                height: dragBox.height,
                transform: `translate(${dragBox.x}px, ${dragBox.y}px)`,
                border: `${2 / zoom}px dashed ${color}`,
              }}
            />
          )}
          {cursor !== null && (
            <div
              className="dao-cursor"
              style={{
                ...layer,
                transform: `translate(${cursor.x}px, ${cursor.y}px) scale(${1 / zoom})`,
                transformOrigin: '0 0',
                transition: 'transform 80ms linear',
              }}
            >
              <svg width="18" height="20" viewBox="0 0 18 20" role="presentation">
                <path
                  d="M1.5 1.5l14 7.2-6.3 1.9-3.4 6.2z"
                  fill={color}
                  stroke="white"
                  strokeWidth="1.5"
                  strokeLinejoin="round"
                />
              </svg>
              <span
                className="dao-cursor-name"
                style={{
                  position: 'absolute',
                  left: 14,
                  top: 16,
                  padding: '2px 7px',
                  borderRadius: 8,
                  backgroundColor: color,
                  color: 'white',
                  font: '500 12px/16px system-ui, sans-serif',
                  whiteSpace: 'nowrap',
                }}
              >
                {name}
              </span>
            </div>
          )}
        </div>
      ))}
    </ViewportPortal>
  )
}

function useOwnCursor(store: AnyStore): void {
  const { screenToFlowPosition } = useReactFlow()
  const api = useStoreApi()
  useEffect(() => {
    const pane = api.getState().domNode
    if (pane === null) return
    const move = (event: PointerEvent): void =>
      store.setCursor(screenToFlowPosition({ x: event.clientX, y: event.clientY }, { snapToGrid: false }))
    const leave = (): void => store.setCursor(null)
    pane.addEventListener('pointermove', move)
    pane.addEventListener('pointerleave', leave)
    return () => {
      pane.removeEventListener('pointermove', move)
      pane.removeEventListener('pointerleave', leave)
      leave()
    }
  }, [store, api, screenToFlowPosition])
}
