/**
 * Waiting for the first picture of a graph in React's way: a render throws a promise, and is tried again when it resolves.
 * An entry of its own: editors that show something else meanwhile don't load it.
 */
import type { Client, Graph } from '@dao-api/client'
import type { Edge, Node } from '@xyflow/react'
import { LINGER_MS, lease, peek } from './lease.ts'
import type { FlowOptions } from './options.ts'
import { type GraphFlow, useGraphFlow } from './use_graph_flow.ts'

/** The server does not let this client follow the graph, or the client was closed: there is nothing to show. */
export class GraphRefused extends Error {
  override readonly name = 'GraphRefused'
  readonly graphId: string
  /** The code of the refusal: `FORBIDDEN`, `GRAPH_NOT_FOUND` …; `CLOSED` if it is not the server's. */
  readonly code: string

  constructor(graphId: string, code: string, options?: ErrorOptions) {
    super(`graph ${graphId} can't be followed: ${code}`, options)
    this.graphId = graphId
    this.code = code
  }
}

/** A graph that is waited for. It stays open meanwhile: a render that is thrown away keeps nothing. */
interface Wait {
  readonly end: Promise<void>
  refused?: GraphRefused
}

const waits = new WeakMap<Client, Map<string, Wait>>()

/**
 * {@link useGraphFlow} for `<Suspense>`: the component is not shown until the first state is there, from this device or
 * from the server, so `ready` is `true`. If the graph can't be followed and this device has nothing of it, the render
 * throws {@link GraphRefused}, for an error boundary. On a server it renders an empty flow at once.
 *
 * @example
 * <ErrorBoundary fallback={<p>No such flow</p>}>
 *   <Suspense fallback={<p>Loading …</p>}><Flow id={id} /></Suspense>
 * </ErrorBoundary>
 */
export function useSuspenseGraphFlow<N extends Node = Node, E extends Edge = Edge>(
  client: Client,
  id: string,
  options: FlowOptions<E> = {},
): GraphFlow<N, E> {
  if (typeof document !== 'undefined') expectReady(client, id)
  return useGraphFlow<N, E>(client, id, options)
}

/** Throws while there is nothing to show. A promise is what all versions of React from 18 on understand. */
function expectReady(client: Client, id: string): void {
  const known = waits.get(client)?.get(id)
  // One that is shown stays, also if it was refused since: opened here, it would be asked for again by each render.
  const shown = peek(client, id)
  if (shown !== undefined && shown.users > 0 && shown.graph.getSnapshot().ready) return
  if (known === undefined && open(client, id).getSnapshot().ready) return
  const { refused, end } = known ?? waitFor(client, id)
  throw refused ?? end
}

function open(client: Client, id: string): Graph {
  try {
    return lease(client, id).open()
  } catch (cause) {
    throw new GraphRefused(id, 'CLOSED', { cause })
  }
}

function waitFor(client: Client, id: string): Wait {
  const ofClient = waits.get(client) ?? new Map<string, Wait>()
  waits.set(client, ofClient)
  const { graph, release } = lease(client, id).retain()
  const forget = (): void => void ofClient.delete(id)
  const end = decided(graph).then(() => {
    release()
    if (graph.getSnapshot().ready) return forget()
    wait.refused = new GraphRefused(id, graph.status.refusal ?? 'CLOSED')
    // React renders again at once after an error, and has to find the same. Later the graph is asked for again.
    setTimeout(forget, LINGER_MS)
  })
  const wait: Wait = { end }
  ofClient.set(id, wait)
  return wait
}

/** Resolves when there is a first state, or none will come. */
function decided(graph: Graph): Promise<void> {
  return new Promise((resolve) => {
    // One that was refused is asked for again, and says so in a moment: until then, closed means nothing.
    let isAsked = false
    const look = (): void => {
      const isClosed = graph.status.connection === 'closed'
      isAsked ||= !isClosed
      if (!graph.getSnapshot().ready && !(isClosed && isAsked)) return
      for (const stop of stops) stop()
      resolve()
    }
    const late = setTimeout(() => {
      isAsked = true
      look()
    }, LINGER_MS)
    const stops = [graph.subscribe(look), graph.subscribeStatus(look), () => clearTimeout(late)]
    look()
  })
}
