/** A workflow to begin with, put in as one commit. */
import type { Graph, JsonObject } from '@dao-api/client'

const STEPS: [key: string, type: string, x: number, y: number, data: JsonObject, parent?: string][] = [
  ['read', 'trigger', 0, 150, { label: 'Read the amounts', detail: 'of a new invoice' }],
  ['known', 'decision', 300, 150, { label: 'Known supplier?' }],
  ['match', 'task', 28, 60, { label: 'Match the order', status: 'doing', detail: 'Number and total' }, 'checks'],
  ['limit', 'task', 28, 158, { label: 'Check the limit', status: 'todo', detail: 'Below 5,000' }, 'checks'],
  ['ask', 'task', 648, 370, { label: 'Ask for approval', status: 'todo', detail: 'Finance team' }],
  ['pay', 'task', 1000, 180, { label: 'Schedule payment', status: 'todo', detail: 'Next run' }],
]

const EDGES: [from: string, to: string, handle?: string, label?: string][] = [
  ['read', 'known'],
  ['known', 'match', 'yes', 'yes'],
  ['known', 'limit', 'yes'],
  ['known', 'ask', 'no', 'no'],
  ['match', 'pay'],
  ['limit', 'pay'],
  ['ask', 'pay'],
]

export function insertSample(graph: Graph): void {
  graph.batch('Insert the sample workflow', (on) => {
    const ids = new Map<string, string>()
    const frame = { type: 'group', position: { x: 620, y: 40 }, width: 304, height: 256, data: { label: 'Checks' } }
    ids.set('checks', on.createNode(frame).id)
    for (const [key, type, x, y, data, parent] of STEPS) {
      const parentId = parent === undefined ? undefined : ids.get(parent)
      const node = { type, position: { x, y }, data, ...(parentId !== undefined && { parentId }) }
      ids.set(key, on.createNode(node).id)
    }
    on.createNode({
      type: 'note',
      position: { x: 20, y: 300 },
      width: 210,
      height: 110,
      data: { text: 'Open this page in a second window: everything here is shared.' },
    })
    for (const [from, to, sourceHandle, label] of EDGES) {
      on.createEdge({
        source: ids.get(from)!,
        target: ids.get(to)!,
        ...(sourceHandle !== undefined && { sourceHandle }),
        ...(label !== undefined && { label }),
      })
    }
  })
}
