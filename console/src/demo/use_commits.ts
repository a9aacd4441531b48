/** The latest operations, refused ones too: asked for when either editor hears of one. */
import { useEffect, useState } from 'react'
import { get } from '../shared/api.ts'
import { seg } from '../shared/links.ts'
import type { AuditedOperation, Operations } from '../shared/types.ts'
import type { Graphs } from './people.ts'

const SHOWN_MAX = 40
/** Commits that arrive together are one request. Milliseconds. */
const SOON_MS = 60
/** After a failure. Milliseconds. */
const AGAIN_MS = 1_000

export function useCommits(graphs: Graphs, graphId: string): readonly AuditedOperation[] {
  const [operations, setOperations] = useState<readonly AuditedOperation[]>([])
  useEffect(() => {
    const abort = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    let isAsking = false
    const soon = (ms: number): void => {
      clearTimeout(timer)
      timer = setTimeout(() => void ask(), ms)
    }
    const ask = async (): Promise<void> => {
      if (isAsking) return soon(SOON_MS)
      isAsking = true
      try {
        const query = { limit: SHOWN_MAX }
        const page = await get<Operations>(`graphs/${seg(graphId)}/operations`, { query, signal: abort.signal })
        setOperations(page.operations)
      } catch {
        if (!abort.signal.aborted) soon(AGAIN_MS)
      } finally {
        isAsking = false
      }
    }
    void ask()
    const hear = (): void => soon(SOON_MS)
    const stops = [graphs.ada, graphs.bob].flatMap((graph) => [graph.on('commit', hear), graph.on('refused', hear)])
    return () => {
      abort.abort()
      clearTimeout(timer)
      for (const stop of stops) stop()
    }
  }, [graphs, graphId])
  return operations
}
