import type { Json, Presence } from '@dao-api/client'
import { describe, expect, test, vi } from 'vitest'
import { readClip } from '../../src/clipboard.ts'
import { colorOf, person } from '../../src/presence.ts'
import { edge, endOfTask, node, setUp } from './set_up.ts'

const bob = (slots: { [slot: string]: Json }): Presence => ({ clientId: 'tab-b', userId: 'bob', slots })
const drags = (...nodes: Json[]): Presence => bob({ drag: { nodes } })
const drag = (id: string, x: number, dragging: boolean) => ({
  type: 'position' as const,
  id,
  position: { x, y: 0 },
  dragging,
})

describe('A15 drags of others', () => {
  test('a drag is shown while it lasts, looked at once a frame, and without a new object for others', () => {
    const { graph, store, clock, emissions } = setUp([node('a'), node('b')])
    const b = store.getSnapshot().nodes[1]
    graph.setOthers([drags(['a', 5, 0])])
    graph.setOthers([drags(['a', 9, 0])])
    expect(store.getSnapshot().nodes[0]?.position).toEqual({ x: 0, y: 0 })
    clock.paint()
    expect(store.getSnapshot().nodes[0]?.position).toEqual({ x: 9, y: 0 })
    expect(store.getSnapshot().nodes[1]).toBe(b)
    expect(emissions()).toBe(1)
  })

  test('a preview outlives its drag until the commit, so that the node does not jump back', () => {
    const { graph, store, clock } = setUp([node('a')])
    graph.setOthers([drags(['a', 9, 0])])
    clock.paint()
    graph.setOthers([])
    clock.paint()
    expect(store.node('a')?.position.x).toBe(9)
    graph.remote((on) => on.moveNode('a', { x: 12, y: 0 }))
    graph.setOthers([])
    clock.paint()
    expect(store.node('a')?.position.x).toBe(12)
  })

  test('the commit of a drag ends its preview, also when its presence comes later', () => {
    const { graph, store, clock } = setUp([node('a')])
    graph.setOthers([drags(['a', 9, 0])])
    clock.paint()
    graph.remote((on) => on.moveNode('a', { x: 12, y: 0 }))
    expect(store.node('a')?.position.x).toBe(12)
    graph.setOthers([drags(['a', 9, 0]), { ...bob({ cursor: { x: 1, y: 1 } }), clientId: 'tab-c' }])
    clock.paint()
    expect(store.node('a')?.position.x).toBe(12)
    // A drag that goes on is shown again.
    graph.setOthers([drags(['a', 20, 0])])
    clock.paint()
    expect(store.node('a')?.position.x).toBe(20)
  })

  test('a preview without a commit ends after 300 ms', () => {
    const { graph, store, clock } = setUp([node('a')])
    graph.setOthers([drags(['a', 9, 0])])
    clock.paint()
    graph.setOthers([])
    clock.paint()
    clock.pass(299)
    expect(store.node('a')?.position.x).toBe(9)
    clock.pass(1)
    expect(store.node('a')?.position.x).toBe(0)
  })

  test('our own drag of the same node wins on our screen, until theirs ends', async () => {
    const { graph, store, clock } = setUp([node('a')])
    graph.setOthers([drags(['a', 9, 0])])
    clock.paint()
    store.onNodesChange([drag('a', 50, true)])
    graph.setOthers([drags(['a', 11, 0])])
    clock.paint()
    expect(store.node('a')?.position.x).toBe(50)
    store.onNodesChange([drag('a', 50, false)])
    await endOfTask()
    graph.setOthers([drags(['a', 13, 0])])
    clock.paint()
    expect(store.node('a')?.position.x).toBe(50)
    graph.setOthers([])
    clock.paint()
    graph.setOthers([drags(['a', 14, 0])])
    clock.paint()
    expect(store.node('a')?.position.x).toBe(14)
  })

  test('an edit during a preview does not write the previewed place', async () => {
    const { graph, store, clock } = setUp([node('a')])
    graph.setOthers([drags(['a', 9, 0])])
    clock.paint()
    store.onNodesChange([{ type: 'replace', id: 'a', item: { ...store.node('a')!, data: { label: 'b' } } }])
    await endOfTask()
    expect(graph.commits[0]?.calls).toEqual([['updateNode', 'a', { data: { label: 'b' } }]])
  })

  test('what is not a drag is passed over', () => {
    const { graph, store, clock, emissions } = setUp([node('a')])
    graph.setOthers([
      bob({ drag: { nodes: [['a', 'x', 1], 7, ['gone', 1, 1]] } }),
      bob({ drag: 'no', cursor: [], '': 3 }),
    ])
    clock.paint()
    expect(store.node('a')?.position.x).toBe(0)
    expect(emissions()).toBe(0)
    expect(store.people().map(({ name, cursor, selection }) => [name, cursor, selection])).toEqual([
      ['bob', null, []],
      ['bob', null, []],
    ])
  })

  test('our drag is shown to others with sizes when it resizes, and taken back at its end', async () => {
    const { graph, store } = setUp([node('a', { width: 10, height: 10 })])
    store.onNodesChange([
      { type: 'dimensions', id: 'a', resizing: true, setAttributes: true, dimensions: { width: 20.123, height: 10 } },
    ])
    expect(graph.shown.at(-1)).toEqual({ slot: 'drag', state: { nodes: [['a', 0, 0, 20.1, 10]] } })
    store.onNodesChange([{ type: 'dimensions', id: 'a', resizing: false, dimensions: { width: 20.123, height: 10 } }])
    await endOfTask()
    expect(graph.shown.at(-1)).toEqual({ slot: 'drag', state: null })
  })

  test('a drag of more than 100 nodes is shown as a box', () => {
    const ids = Array.from({ length: 101 }, (_, i) => `n${i}`)
    const { graph, store } = setUp(ids.map((id, i) => node(id, { width: 10, height: 10, position: { x: i, y: 0 } })))
    store.onNodesChange(ids.map((id, i) => drag(id, i + 5, true)))
    expect(graph.shown.at(-1)).toEqual({ slot: 'drag', state: { box: [5, 0, 110, 10] } })
  })
})

describe('people', () => {
  test('a person is the same object while nothing of it changed, and selections are told by entity', () => {
    const { graph, store } = setUp([node('a')])
    const eve: Presence = {
      clientId: 'tab-e',
      userId: 'eve',
      slots: { '': { name: 'Eve', color: '#123456', selection: ['a'] } },
    }
    graph.setOthers([eve, bob({ cursor: { x: 1, y: 2 } })])
    const [first, second] = store.people()
    const selected = store.selectedBy('a')
    expect(first).toMatchObject({ name: 'Eve', color: '#123456', selection: ['a'], cursor: null })
    expect(second).toMatchObject({ name: 'bob', cursor: { x: 1, y: 2 } })
    expect(selected).toEqual([first])
    graph.setOthers([{ ...eve, slots: { ...eve.slots, cursor: { x: 5, y: 5 } } }, bob({ cursor: { x: 1, y: 2 } })])
    expect(store.people()[1]).toBe(second)
    expect(store.selectedBy('a')).toBe(selected)
    expect(store.selectedBy('z')).toBe(store.selectedBy('y'))
  })

  test.each([
    ['#12ab', '#12ab'],
    ['RebeccaPurple', 'RebeccaPurple'],
    ['hsl(12 65% 42% / 50%)', 'hsl(12 65% 42% / 50%)'],
    ['url(https://example.com/seen.png)', colorOf('eve')],
    ['red url(https://example.com/seen.png)', colorOf('eve')],
    ['', colorOf('eve')],
    [7, colorOf('eve')],
  ])('a colour of somebody else is a colour, and loads nothing: %s', (color, shown) => {
    expect(person({ clientId: 'tab-e', userId: 'eve', slots: { '': { color } } }).color).toBe(shown)
    // A browser says what is a colour.
    vi.stubGlobal('CSS', { supports: (property: string, value: string) => property === 'color' && value === 'red' })
    expect(person({ clientId: 'tab-e', userId: 'eve', slots: { '': { color } } }).color).toBe(colorOf('eve'))
    expect(person({ clientId: 'tab-e', userId: 'eve', slots: { '': { color: 'red' } } }).color).toBe('red')
    vi.unstubAllGlobals()
  })

  test('leaving takes presence back', () => {
    const { graph, stop } = setUp([node('a')])
    stop()
    expect(graph.shown.slice(-3).map(({ slot, state }) => [slot, state])).toEqual([
      ['', null],
      ['cursor', null],
      ['drag', null],
    ])
  })
})

describe('copy and paste', () => {
  const select = (...ids: string[]) => ids.map((id) => ({ type: 'select' as const, id, selected: true }))

  test('a copy has what is inside and the edges among it; its paste has new ids, is one commit and is selected', async () => {
    const { graph, store } = setUp(
      [node('p', { position: { x: 100, y: 100 } }), node('c', { parentId: 'p', position: { x: 5, y: 5 } }), node('x')],
      [edge('in', 'p', 'c'), edge('out', 'c', 'x')],
    )
    store.onNodesChange(select('p'))
    const clip = readClip(JSON.stringify(store.copy()))!
    expect(clip.nodes.map(({ id }) => id)).toEqual(['p', 'c'])
    expect(clip.edges.map(({ id }) => id)).toEqual(['in'])
    const ids = store.paste(clip, { x: 300, y: 0 })
    await endOfTask()
    expect(graph.commits).toHaveLength(1)
    expect(graph.commits[0]?.label).toBe('Add 2 nodes')
    expect(graph.commits[0]?.calls).toEqual([
      ['createNode', { id: ids[0], position: { x: 300, y: 0 }, data: { label: 'p' } }],
      ['createNode', { id: ids[1], position: { x: 5, y: 5 }, data: { label: 'c' }, parentId: ids[0] }],
      ['createEdge', { id: 'new-3', source: ids[0], target: ids[1] }],
    ])
    expect(
      store
        .getSnapshot()
        .nodes.filter(({ selected }) => selected)
        .map(({ id }) => id),
    ).toEqual([ids[0]])
  })

  test('a child that is copied without its parent keeps its place in the flow', async () => {
    const { graph, store } = setUp([
      node('p', { position: { x: 100, y: 100 } }),
      node('c', { parentId: 'p', extent: 'parent', position: { x: 5, y: 6 } }),
    ])
    store.onNodesChange(select('c'))
    store.paste(store.copy()!)
    await endOfTask()
    expect(graph.commits[0]?.calls).toEqual([
      ['createNode', { id: 'new-1', position: { x: 129, y: 130 }, data: { label: 'c' } }],
    ])
  })

  test('what is not a copy is not read, and nothing selected is nothing to copy', () => {
    const { store } = setUp([node('a')])
    expect(readClip('hello')).toBeNull()
    expect(readClip('{"nodes":[]}')).toBeNull()
    expect(store.copy()).toBeNull()
  })

  test('a copy is read whole, or not at all', () => {
    const whole = { kind: 'dao-api/clip', nodes: [node('a')], edges: [edge('e', 'a', 'a')] }
    expect(readClip(JSON.stringify(whole))).toEqual(whole)
    const nodes = [
      null,
      'a',
      {},
      { id: 'a' },
      { id: 7, position: { x: 0, y: 0 } },
      node('a', { position: { x: 1 } as never }),
    ]
    for (const one of nodes) expect(readClip(JSON.stringify({ ...whole, nodes: [one] }))).toBeNull()
    for (const one of [null, 'e', { id: 'e', source: 'a' }])
      expect(readClip(JSON.stringify({ ...whole, edges: [one] }))).toBeNull()
  })
})
