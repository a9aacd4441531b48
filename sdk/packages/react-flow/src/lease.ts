/** How long graphs stay open: as long as a component shows them, and a moment longer. */
import type { Client, Graph } from '@dao-api/client'
import type { Lease } from './options.ts'

/**
 * A graph that no component shows is closed after this time. React mounts twice in StrictMode, and a page that changes
 * its view unmounts before it mounts: neither is a reason to connect anew.
 */
export const LINGER_MS = 2000

interface Open {
  graph: Graph
  users: number
  timer: ReturnType<typeof setTimeout> | null
}

const opened = new WeakMap<Client, Map<string, Open>>()

/** What is open or has ended, and how many show it. Nothing is opened. */
export function peek(client: Client, id: string): Readonly<Pick<Open, 'graph' | 'users'>> | undefined {
  return opened.get(client)?.get(id)
}

/** One graph for each client and id, however many components show it. */
export function lease(client: Client, id: string): Lease {
  const ofClient = opened.get(client) ?? new Map<string, Open>()
  opened.set(client, ofClient)
  const get = (): Open => {
    const known = ofClient.get(id)
    if (known !== undefined && known.graph.status.connection !== 'closed') return known
    const graph = anew(client, id, known?.graph)
    if (known?.graph === graph) return known
    // What has ended is let go of by its own users.
    const now: Open = { graph, users: 0, timer: null }
    ofClient.set(id, now)
    return now
  }
  const linger = (open: Open): void => {
    if (open.timer !== null) clearTimeout(open.timer)
    open.timer = setTimeout(() => {
      open.timer = null
      if (open.users > 0) return
      if (ofClient.get(id) === open) ofClient.delete(id)
      open.graph.close()
    }, LINGER_MS)
  }
  return {
    open: () => {
      const open = get()
      // A render that is never committed retains nothing.
      if (open.users === 0) linger(open)
      return open.graph
    },
    retain: () => {
      const open = get()
      open.users += 1
      let released = false
      return {
        graph: open.graph,
        release: () => {
          if (released) return
          released = true
          open.users -= 1
          if (open.users === 0) linger(open)
        },
      }
    },
  }
}

/** Another graph if `known` has ended. It is `known` if the server refused it, or the client has ended itself. */
function anew(client: Client, id: string, known: Graph | undefined): Graph {
  if (known === undefined) return client.graph(id)
  try {
    const graph = client.graph(id)
    if (graph === known) graph.close()
    return graph
  } catch {
    return known
  }
}
