/** Waiting for things, and counting commits as they arrive. */
import type { Graph } from '@dao-api/client'

const ASK_MS = 60

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Rejects with a sentence if it does not happen in time. */
export async function until(what: string, ask: () => boolean | Promise<boolean>, patienceMs: number): Promise<void> {
  const end = Date.now() + patienceMs
  while (!(await ask())) {
    if (Date.now() > end) throw new Error(`Not within ${patienceMs / 1000} s: ${what}. Reload the page to begin again.`)
    await sleep(ASK_MS)
  }
}

export interface Counted {
  /** The versions of this client's own commits. */
  own: number[]
  others: number[]
}

/** From now until the returned function is called: the commits that came to this client. */
export function watchCommits(graph: Graph): () => Counted {
  const counted: Counted = { own: [], others: [] }
  let isOn = true
  const stop = graph.on('commit', ({ version, clientId }) => {
    ;(clientId === graph.clientId ? counted.own : counted.others).push(version)
  })
  return () => {
    if (isOn) stop()
    isOn = false
    return counted
  }
}
