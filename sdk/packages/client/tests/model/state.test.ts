import { describe, expect, test } from 'vitest'
import type { GraphNode, JsonObject } from '../../src/api.ts'
import {
  decide,
  fold,
  fromState,
  type GraphEvent,
  GraphState,
  nodesInOrder,
  picture,
  toState,
} from '../../src/model/index.ts'

const at = (version: number) => ({ version, timestamp: 1_000 + version })
const node = (id: string, fields: JsonObject = {}): GraphEvent => ({
  type: 'NodeCreated',
  node: { id, position: { x: 0, y: 0 }, ...fields },
})
const of = (...events: GraphEvent[]): GraphState =>
  events.reduce((state, event, i) => fold(state, [event], at(i + 1)), new GraphState())
const order = (state: GraphState): string =>
  nodesInOrder(state)
    .map((row) => row.entity.id)
    .join(' ')
const into = (nodeId: string, parentId: string | null): GraphEvent => ({
  type: 'NodeUpdated',
  nodeId,
  patch: { parentId },
})

describe('M11', () => {
  test('M11 a group that was made last stands before what is in it, and all else keeps its place', () => {
    const flat = of(...['a', 'b', 'c', 'box', 'd'].map((id) => node(id)))
    const grouped = fold(flat, [into('a', 'box'), into('c', 'box')], at(9))
    expect(order(grouped)).toBe('b box a c d')
    expect(order(fold(grouped, [into('a', null)], at(10)))).toBe('a b box c d')
    expect(order(flat)).toBe('a b c box d')
  })

  test('M11 what is in a node that waits waits with it, and a circle loses nobody', () => {
    const flat = of(...['a', 'b', 'c', 'box', 'outer'].map((id) => node(id)))
    expect(order(fold(flat, [into('b', 'a'), into('a', 'box'), into('box', 'outer')], at(9)))).toBe('c outer box a b')
    expect(order(fold(flat, [into('a', 'b'), into('b', 'a')], at(9)))).toBe('c box outer a b')
  })
})

describe('G5', () => {
  const deleted = (nodeId: string): GraphEvent => ({ type: 'NodeDeleted', nodeId })
  const restored = (id: string, ordinal: number): GraphEvent => ({
    type: 'NodeRestored',
    node: { id, position: { x: 0, y: 0 } },
    ordinal,
    createdAt: 1_001,
  })
  const sent = (state: GraphState): GraphState => {
    const { places: _, ...json } = toState(state)
    return fromState({ ...JSON.parse(JSON.stringify(json)), version: 1 })
  }
  const then = (state: GraphState, ...events: GraphEvent[]): GraphState => fold(state, events, at(1))

  test('G5 after a state, what comes back has its place, told by the time it was made', () => {
    const state = then(sent(of(node('a'))), node('x'), node('y'), deleted('x'))
    const back = then(state, restored('x', 1))
    expect(order(back)).toBe('a x y')
    expect(back.isOrderUncertain).toBe(false)
  })

  test('G5 of two that had one id in one millisecond, the place is not told: a state is asked for', () => {
    const twice = then(sent(of(node('a'))), node('x'), node('y'), deleted('x'), node('x'), deleted('x'))
    expect(then(twice, restored('x', 1)).isOrderUncertain).toBe(true)
  })

  test('G5 of two that had one id in one millisecond, one deleted before the state and one after it, that is not seen', () => {
    const early = then(new GraphState(), node('x'), node('y'), deleted('x'))
    const events = [node('x'), deleted('x'), restored('x', 0)]
    const [server, client] = [then(early, ...events), then(sent(early), ...events)]
    // The exception that docs/sdk.md names at `isOrderCertain`.
    expect([order(server), order(client), client.isOrderUncertain]).toEqual(['x y', 'y x', false])
  })

  test('G5 what was deleted before the state comes back before what was deleted after it, and was made later', () => {
    const early = of(node('x'), deleted('x'), node('y'))
    const late = fold(sent(early), [deleted('y')], at(4))
    const first = then(late, restored('x', 0))
    const both = then(first, { ...restored('y', 1), createdAt: 1_003 } as GraphEvent)
    expect(order(both)).toBe('x y')
    expect(both.isOrderUncertain).toBe(false)
  })
})

describe('M9', () => {
  const many = of(...Array.from({ length: 200 }, (_, i) => node(`n${i}`, { data: { label: `${i}`, deep: { x: 1 } } })))

  test('M9 a commit that touches two entities gives new objects for those two only', () => {
    const before = picture(many)
    const events: GraphEvent[] = [
      { type: 'NodeMoved', nodeId: 'n7', position: { x: 1, y: 2 } },
      { type: 'NodeUpdated', nodeId: 'n9', patch: { data: { label: 'new' } } },
    ]
    const after = picture(fold(many, events, at(500)), before)
    const changed = after.nodes.filter((node, index) => node !== before.nodes[index])
    expect(changed.map((node) => node.id)).toEqual(['n7', 'n9'])
    const deep = (node: GraphNode | undefined) => (node?.data as JsonObject | undefined)?.deep
    expect(deep(changed[1])).toBe(deep(before.nodes[9]))
    expect(after.edges).toBe(before.edges)
  })

  test('M9 a picture of an equal state is the same picture', () => {
    const before = picture(many)
    const moved = fold(many, [{ type: 'NodeMoved', nodeId: 'n7', position: { x: 1, y: 2 } }], at(500))
    const shown = picture(moved, before)
    const confirmed = fold(many, [{ type: 'NodeMoved', nodeId: 'n7', position: { x: 1, y: 2 } }], at(501))
    expect(picture(confirmed, shown)).toBe(shown)
    expect(confirmed.nodes.get('n7')?.entity).toBe(shown.nodes[7])
  })

  test('A9 a state that was sent anew shares all that is equal', () => {
    const before = picture(many)
    const again = fromState(JSON.parse(JSON.stringify(toState(many))), many)
    expect(picture(again, before)).toBe(before)
  })
})

describe('A17', () => {
  test('A17 keys such as __proto__ are keys', () => {
    const fields = JSON.parse('{"data":{"__proto__":{"polluted":true},"constructor":{"a":1}}}')
    const state = of(node('a', fields), {
      type: 'NodeUpdated',
      nodeId: 'a',
      patch: JSON.parse('{"data":{"__proto__":{"more":1},"constructor":null},"__proto__":{"x":1}}'),
    })
    const text = JSON.stringify(state.nodes.get('a')?.entity)
    expect(text).toBe(
      '{"id":"a","position":{"x":0,"y":0},"data":{"__proto__":{"polluted":true,"more":1}},"__proto__":{"x":1}}',
    )
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
    expect(decide(new GraphState(), { type: 'CREATE_NODE', payload: { id: 'a', ...fields } }).ok).toBe(true)
  })
})
