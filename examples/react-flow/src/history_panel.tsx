/** Who changed what: the server's list of operations, fetched again when a commit arrives. */
import { useOthers } from '@dao-api/react-flow'
import { useReactFlow } from '@xyflow/react'
import { useEffect, useState } from 'react'
import type { Flow } from './actions.ts'
import { color, userId } from './client.ts'
import { nameOf } from './model.ts'

interface Event {
  type: string
  nodeId?: string
  edgeId?: string
  node?: { id: string; data?: unknown }
  edge?: { id: string }
  patch?: { data?: object; parentId?: unknown; width?: unknown }
}

interface Operation {
  operationId: string
  userId: string
  commandType: string
  status: 'completed' | 'conflict' | 'failed'
  outcome: string | null
  timestamp: number
  version: number
  events: Event[]
}

const LIMIT = 40
/** Commits that arrive together are one request. */
const SETTLE_MS = 250

function useOperations(flow: Flow): readonly Operation[] {
  const [operations, setOperations] = useState<readonly Operation[]>([])
  const { graph } = flow
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined
    const abort = new AbortController()
    const fetchThem = async (): Promise<void> => {
      try {
        const path = `/graphs/${encodeURIComponent(graph.id)}/operations?limit=${LIMIT}`
        const answer = await fetch(path, { signal: abort.signal, headers: { 'X-User-Id': userId } })
        if (answer.ok) setOperations((await answer.json()).operations)
      } catch {
        // Offline, or the panel is closed: what is shown stays, and the next commit asks again.
      }
    }
    const soon = (): void => {
      clearTimeout(timer)
      timer = setTimeout(fetchThem, SETTLE_MS)
    }
    void fetchThem()
    const stops = [graph.on('commit', soon), graph.on('refused', soon)]
    return () => {
      clearTimeout(timer)
      abort.abort()
      for (const stop of stops) stop()
    }
  }, [graph])
  return operations
}

const nodeOf = (event: Event): string | undefined => event.nodeId ?? event.node?.id

/** One line about an operation, with the names that nodes have now. */
function describe({ events, commandType, status }: Operation, flow: Flow): string {
  if (status !== 'completed') return 'was refused'
  if (commandType === 'UNDO') return 'undid a change'
  const of = (type: string): Event[] => events.filter((event) => event.type === type)
  const named = (list: Event[], verb: string): string => {
    const [first] = list
    const id = first && nodeOf(first)
    const name = nameOf(id === undefined ? undefined : (flow.graph.node(id)?.data ?? first?.node?.data))
    return list.length === 1 ? `${verb} ${name ? `“${name}”` : 'a node'}` : `${verb} ${list.length} nodes`
  }
  const [created, deleted, moved, updated] = ['NodeCreated', 'NodeDeleted', 'NodeMoved', 'NodeUpdated'].map(of) as [
    Event[],
    Event[],
    Event[],
    Event[],
  ]
  if (deleted.length > 0) return named(deleted, 'deleted')
  if (created.length > 0) return named(created, 'added')
  if (updated.some((event) => event.patch && 'parentId' in event.patch)) return named(updated, 'regrouped')
  if (updated.some((event) => event.patch && 'width' in event.patch)) return named(updated, 'resized')
  if (updated.length > 0) return named(updated, 'edited')
  if (moved.length > 0) return named(moved, 'moved')
  if (of('EdgeCreated').length > 0) return 'connected two steps'
  if (of('EdgeDeleted').length > 0) return 'removed a connection'
  return 'changed the graph'
}

function ago(timestamp: number, now: number): string {
  const seconds = Math.max(0, Math.round((now - timestamp) / 1000))
  if (seconds < 45) return 'now'
  if (seconds < 3600) return `${Math.max(1, Math.round(seconds / 60))} min`
  return seconds < 86_400 ? `${Math.round(seconds / 3600)} h` : new Date(timestamp).toLocaleDateString()
}

/** The colour of somebody who is here, else grey. */
function useColors(flow: Flow): (userId: string) => string {
  const others = useOthers(flow)
  return (id) => (id === userId ? color : (others.find((other) => other.userId === id)?.color ?? '#94a3b8'))
}

export function HistoryPanel({ flow }: { flow: Flow }) {
  const colorOf = useColors(flow)
  const operations = useOperations(flow)
  const { fitView } = useReactFlow()
  const now = Date.now()
  return (
    <aside className="history card" aria-label="History">
      <h2>History</h2>
      {operations.length === 0 && <p>Nothing yet.</p>}
      <ol>
        {operations.map((operation) => {
          const ids = operation.events.flatMap((event) => nodeOf(event) ?? []).filter((id) => flow.graph.node(id))
          const name = operation.userId === userId ? 'You' : operation.userId
          return (
            <li key={operation.operationId} className={operation.status}>
              <button
                type="button"
                disabled={ids.length === 0}
                title={`Version ${operation.version}`}
                onClick={() => void fitView({ nodes: ids.map((id) => ({ id })), duration: 400, maxZoom: 1 })}
              >
                <span className="dot" style={{ backgroundColor: colorOf(operation.userId) }} />
                <span className="line">
                  <b>{name}</b> {describe(operation, flow)}
                </span>
                <time dateTime={new Date(operation.timestamp).toISOString()}>{ago(operation.timestamp, now)}</time>
              </button>
            </li>
          )
        })}
      </ol>
    </aside>
  )
}
