import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../src/api.ts'
import { decideUndo, fold, type GraphEvent, GraphState, remember } from '../../src/model/index.ts'

const at = { version: 1, timestamp: 1 }
const made = (id: string, parentId?: string): GraphEvent => ({
  type: 'NodeCreated',
  node: { id, position: { x: 0, y: 0 }, ...(parentId !== undefined && { parentId }) },
})
const patched = (nodeId: string, patch: JsonObject): GraphEvent => ({ type: 'NodeUpdated', nodeId, patch })

/** What undoing one operation with these events comes to, on the graph that it left. */
function undone(before: GraphState, events: GraphEvent[]): ReturnType<typeof decideUndo> & { ok: true } {
  const changes = remember(before, events)
  const operations = [{ operationId: 'op', version: 2 }]
  const result = decideUndo(fold(before, events, at), operations, { known: () => changes })
  if (!result.ok) throw new Error(result.message)
  return result
}

describe('U8: the order in which changed nodes are put back', () => {
  test('U8 what goes back into a node that stays waits for what that node stays in', () => {
    const before = fold(new GraphState(), [made('z'), made('y', 'z'), made('x', 'y')], at)
    // Last touched, `x` would be put back first: into `y`, which is in `z`, which still is in `x`.
    const events = [patched('z', { data: {} }), patched('x', { parentId: null }), patched('z', { parentId: 'x' })]
    const { events: back, result } = undone(before, events)
    expect(result.skipped).toEqual([])
    expect(back).toMatchObject([
      { nodeId: 'z', patch: { parentId: null } },
      { nodeId: 'x', patch: { parentId: 'y' } },
    ])
  })

  test('U8 a field of a node may have any name', () => {
    const before = fold(new GraphState(), [made('b'), made('a', 'b')], at)
    const odd = fold(before, [patched('a', { areParentsDone: true }), patched('b', { areParentsDone: true })], at)
    const events = [patched('b', { data: {} }), patched('a', { parentId: null }), patched('b', { parentId: 'a' })]
    const { events: back } = undone(odd, events)
    expect(back.map((event) => 'nodeId' in event && event.nodeId)).toEqual(['b', 'a'])
  })

  test('U8 where none was put into another, the last change is put back first', () => {
    const before = fold(new GraphState(), [made('a'), made('b', 'a')], at)
    const { result } = undone(before, [patched('a', { data: { n: 1 } }), patched('b', { data: { n: 1 } })])
    expect(result.reverted.map(({ id }) => id)).toEqual(['b', 'a'])
  })
})
