/** The graph as it is now, followed over the tab's one connection (K9). */
import type { Graph, GraphSnapshot, Status } from '@dao-api/client'
import { useEffect, useState, useSyncExternalStore } from 'react'
import { useClient } from '../shared/client.ts'

const NOTHING: GraphSnapshot = {
  nodes: [],
  edges: [],
  viewport: { x: 0, y: 0, zoom: 1 },
  attributes: {},
  ready: false,
}
const CLOSED: Status = {
  connection: 'closed',
  pending: 0,
  persisted: true,
  access: null,
  point: { version: 0, hash: null },
}

/** A graph that may not be followed is closed by the server's word: it is not asked for again at once. */
const REOPEN_MS = 3_000

export interface Head {
  readonly graph: Graph | null
  /** What was shown last stays while the tab reconnects. */
  readonly snapshot: GraphSnapshot
  /** The version that `snapshot` is of; 0 until there is one. The server may have a newer one. */
  readonly version: number
  readonly status: Status
  /** How often the history was replaced by another one since the page was opened. */
  readonly replacements: number
}

/** `follow: false`: nothing is asked for. */
export function useHead(id: string, follow: boolean): Head {
  const client = useClient()
  const [graph, setGraph] = useState<Graph | null>(null)
  const [replacements, setReplacements] = useState(0)
  const [round, setRound] = useState(0)
  // biome-ignore lint/correctness/useExhaustiveDependencies: `round` opens it again
  useEffect(() => {
    if (client === null || !follow) return setGraph(null)
    const opened = client.graph(id)
    setGraph(opened)
    const stop = opened.on('replaced', () => setReplacements((count) => count + 1))
    return () => {
      stop()
      opened.close()
    }
  }, [client, id, follow, round])
  const snapshot = useSyncExternalStore(
    (listener) => graph?.subscribe(listener) ?? noStop,
    () => graph?.getSnapshot() ?? NOTHING,
  )
  const status = useSyncExternalStore(
    (listener) => graph?.subscribeStatus(listener) ?? noStop,
    () => graph?.status ?? CLOSED,
  )
  // The server ended it, for example since it may not be read: asked for again and again, it comes back by itself.
  const isClosed = graph !== null && client !== null && status.connection === 'closed'
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is still closed after a round has another one
  useEffect(() => {
    if (!isClosed) return
    const timer = setTimeout(() => setRound((count) => count + 1), REOPEN_MS)
    return () => clearTimeout(timer)
  }, [isClosed, round])
  const { version } = status.point
  const [kept, setKept] = useState({ snapshot: NOTHING, version: 0 })
  useEffect(() => {
    if (snapshot.ready) setKept({ snapshot, version })
  }, [snapshot, version])
  return { graph, ...(snapshot.ready ? { snapshot, version } : kept), status, replacements }
}

const noStop = (): void => undefined
