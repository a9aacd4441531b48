/** The graph as it is now, followed over the tab's one connection (K9). */
import type { Graph, GraphSnapshot, Status } from '@dao-api/client'
import { useEffect, useRef, useState, useSyncExternalStore } from 'react'
import { useClient } from '../shared/client.ts'
import { isReplaced } from './seen.ts'
import { getReset } from './source.ts'

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
  useEffect(() => {
    if (client === null || !follow) return setGraph(null)
    const opened = client.graph(id)
    setGraph(opened)
    const stop = opened.on('replaced', () => setReplacements((count) => count + 1))
    return () => {
      stop()
      opened.close()
    }
  }, [client, id, follow])
  const snapshot = useSyncExternalStore(
    (listener) => graph?.subscribe(listener) ?? noStop,
    () => graph?.getSnapshot() ?? NOTHING,
  )
  const status = useSyncExternalStore(
    (listener) => graph?.subscribeStatus(listener) ?? noStop,
    () => graph?.status ?? CLOSED,
  )
  // The server ended it, for example since it may not be read. The client follows it again when it is asked for once more,
  // while this page still holds it: closed first, one that others hold or that has edits would stay as it is.
  const isClosed = graph !== null && client !== null && status.connection === 'closed'
  useEffect(() => {
    if (!isClosed) return
    const timer = setInterval(() => client.graph(id).close(), REOPEN_MS)
    return () => clearInterval(timer)
  }, [isClosed, client, id])
  // For a moment after the id changes, the graph is that of the id before.
  const isLive = status.connection === 'live' && snapshot.ready && graph?.id === id
  useContinued(id, isLive ? graph : null, status, () => setReplacements((count) => count + 1))
  const { version } = status.point
  const [kept, setKept] = useState({ snapshot: NOTHING, version: 0 })
  useEffect(() => {
    if (snapshot.ready) setKept({ snapshot, version })
  }, [snapshot, version])
  return { graph, ...(snapshot.ready ? { snapshot, version } : kept), status, replacements }
}

/**
 * A graph tells that its history was replaced while it is followed. A tab that was hidden has another client, whose graphs
 * begin anew: the first point of such a graph is compared with the last one of the graph before it.
 */
function useContinued(id: string, graph: Graph | null, status: Status, onReplaced: () => void): void {
  const last = useRef<{ id: string; point: Status['point'] } | null>(null)
  const compared = useRef<Graph | null>(null)
  const told = useRef(onReplaced)
  told.current = onReplaced
  useEffect(() => {
    if (graph === null || compared.current === graph) return
    const abort = new AbortController()
    const before = last.current
    const compare = async (): Promise<void> => {
      const isOther =
        before?.id === id &&
        (await isReplaced(before.point, graph.status.point, (since) => getReset(id, since, abort.signal)))
      if (abort.signal.aborted) return
      compared.current = graph
      last.current = { id, point: graph.status.point }
      if (isOther) told.current()
    }
    void compare()
    return () => abort.abort()
  }, [id, graph])
  const { point } = status
  useEffect(() => {
    // Until it is compared, the last point is that of the graph before it.
    if (graph !== null && compared.current === graph) last.current = { id, point }
  }, [id, graph, point])
}

const noStop = (): void => undefined
