/** Edits that are on their way when editing ends (K2). */
import type { Status } from '@dao-api/client'
import { expect, test } from 'vitest'
import { whenSettled } from '../src/graph/when_settled.ts'

function graphOf(pending: number) {
  const listeners = new Set<() => void>()
  const graph = {
    status: { connection: 'live', pending } as Status,
    subscribeStatus(listener: () => void) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    tell(status: Partial<Status>) {
      graph.status = { ...graph.status, ...status }
      for (const listener of listeners) listener()
    },
    listeners,
  }
  return graph
}
const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve))

test('k2_what_is_pending_keeps_its_listeners_until_its_outcome_was_told', async () => {
  const graph = graphOf(0)
  const order: string[] = []
  whenSettled(graph, () => order.push('over'))
  // Sent by another part of the editor that is unmounted after this one.
  graph.tell({ pending: 2 })
  await turn()
  graph.tell({ pending: 1 })
  await turn()
  expect(order).toEqual([])
  graph.tell({ pending: 0 })
  order.push('outcome')
  await turn()
  expect(order).toEqual(['outcome', 'over'])
  expect(graph.listeners.size).toBe(0)
})

test('k2_it_ends_at_once_without_edits_and_with_the_client', async () => {
  let ended = 0
  whenSettled(graphOf(0), () => ended++)
  await turn()
  expect(ended).toBe(1)
  const graph = graphOf(3)
  whenSettled(graph, () => ended++)
  await turn()
  expect(ended).toBe(1)
  graph.tell({ connection: 'closed' })
  graph.tell({ pending: 0 })
  await turn()
  expect(ended).toBe(2)
})
