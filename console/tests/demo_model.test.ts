/** The demo: each editor's graph is held once, whatever is done, and let go of. */
import type { Graph } from '@dao-api/client'
import { expect, test } from 'vitest'
import { Acts } from '../src/demo/acts.ts'
import { closeGraphs, openGraphs, type Pair } from '../src/demo/people.ts'
import { Stories } from '../src/demo/story.ts'

test('c3_what_is_done_in_the_demo_takes_no_further_hold_of_a_graph', async () => {
  let holds = 0
  const graph = {
    status: { connection: 'live', pending: 0 },
    undo: () => null,
    close: () => void holds--,
  } as unknown as Graph
  const client = {
    graph: () => {
      holds++
      return graph
    },
  }
  const person = (id: string) => ({ id, name: id, client, cable: { plug: () => undefined } })
  const pair = { ada: person('ada'), bob: person('bob') } as unknown as Pair
  const graphs = openGraphs(pair, 'demo')
  const stories = new Stories()
  const acts = new Acts(pair, graphs, 'demo', stories, () => undefined)
  for (const act of ['undoAda', 'undoBob', 'undoAda'] as const) await acts.run(act)
  expect(stories.now().lines[0]?.text).toContain('nothing to take back')
  expect(holds).toBe(2)
  closeGraphs(graphs)
  expect(holds).toBe(0)
})
