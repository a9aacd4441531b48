/** The end of edits that are on their way. */
import type { Graph } from '@dao-api/client'

/**
 * Calls `then` once nothing of the graph is pending, or the graph has ended: after those who were told of the last
 * outcome. What is sent in the same moment counts, for example by an editor that is unmounted in the middle of a drag.
 */
export function whenSettled(graph: Pick<Graph, 'status' | 'subscribeStatus'>, then: () => void): void {
  const isOver = (): boolean => graph.status.pending === 0 || graph.status.connection === 'closed'
  let stop: (() => void) | null = null
  let isDone = false
  const look = (): void => {
    if (isDone || !isOver()) return
    isDone = true
    stop?.()
    then()
  }
  queueMicrotask(() => {
    look()
    if (!isDone) stop = graph.subscribeStatus(() => queueMicrotask(look))
  })
}
