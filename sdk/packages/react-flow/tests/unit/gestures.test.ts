import { describe, expect, test } from 'vitest'
import type { FlowStore } from '../../src/flow_store.ts'
import type { Call } from './memory_graph.ts'
import { edge, endOfTask, node, setUp } from './set_up.ts'

const move = (id: string, x: number, y: number, dragging?: boolean) => ({
  type: 'position' as const,
  id,
  position: { x, y },
  ...(dragging !== undefined && { dragging }),
})

describe('M7 one gesture is one commit', () => {
  test('M7 a drag of 200 nodes: presence while it lasts, one batch at its end', async () => {
    const ids = Array.from({ length: 200 }, (_, i) => `n${i}`)
    const { graph, store } = setUp(ids.map((id) => node(id)))
    for (const x of [10, 20, 30]) store.onNodesChange(ids.map((id) => move(id, x, 0, true)))
    await endOfTask()
    expect(graph.commits).toEqual([])
    expect(store.node('n0')?.position).toEqual({ x: 30, y: 0 })
    store.onNodesChange(ids.map((id) => move(id, 30, 0, false)))
    await endOfTask()
    expect(graph.commits).toHaveLength(1)
    expect(graph.commits[0]).toMatchObject({ label: 'Move 200 nodes', options: { ifMissing: 'skip' } })
    expect(graph.commits[0]?.calls).toHaveLength(200)
    expect(graph.commits[0]?.calls[7]).toEqual(['moveNode', 'n7', { x: 30, y: 0 }])
  })

  test('M7 a drag that ends where it began sends nothing', async () => {
    const { graph, store } = setUp([node('a')])
    store.onNodesChange([move('a', 40, 0, true)])
    store.onNodesChange([move('a', 0, 0, true)])
    store.onNodesChange([move('a', 0, 0, false)])
    await endOfTask()
    expect(graph.commits).toEqual([])
  })

  test('M7 expandParent: what the array carries without a flag belongs to the drag', async () => {
    const { graph, store } = setUp([
      node('p', { width: 100, height: 100 }),
      node('c', { parentId: 'p' }),
      node('d', { parentId: 'p' }),
    ])
    const grow = { type: 'dimensions' as const, id: 'p', setAttributes: true, dimensions: { width: 150, height: 100 } }
    store.onNodesChange([move('c', 140, 0, true), move('d', 5, 0), grow])
    await endOfTask()
    expect(graph.commits).toEqual([])
    store.onNodesChange([move('c', 140, 0, false), move('d', 5, 0), grow])
    await endOfTask()
    expect(graph.commits).toHaveLength(1)
    expect(graph.commits[0]?.calls).toEqual([
      ['moveNode', 'c', { x: 140, y: 0 }],
      ['moveNode', 'd', { x: 5, y: 0 }],
      ['updateNode', 'p', { width: 150 }],
    ])
  })

  test('M7 a resize from the upper left: the end has no attributes, the last flagged size counts', async () => {
    const { graph, store } = setUp([node('a', { width: 100, height: 50 }), node('c', { parentId: 'a' })])
    store.onNodesChange([
      move('a', -10, -10),
      { type: 'dimensions', id: 'a', resizing: true, setAttributes: true, dimensions: { width: 110, height: 60 } },
      move('c', 10, 10),
    ])
    await endOfTask()
    expect(graph.commits).toEqual([])
    expect(store.node('a')).toMatchObject({ width: 110, height: 60, position: { x: -10, y: -10 }, resizing: true })
    store.onNodesChange([{ type: 'dimensions', id: 'a', resizing: false, dimensions: { width: 110, height: 60 } }])
    await endOfTask()
    expect(graph.commits).toHaveLength(1)
    expect(graph.commits[0]?.label).toBe('Resize')
    expect(graph.commits[0]?.calls).toEqual([
      ['updateNode', 'a', { width: 110, height: 60 }],
      ['moveNode', 'a', { x: -10, y: -10 }],
      ['moveNode', 'c', { x: 10, y: 10 }],
    ])
  })

  test('M7 a deletion of nodes with edges: descendants and edges go with them and are not listed', async () => {
    const { graph, store } = setUp(
      [node('p'), node('c', { parentId: 'p' }), node('x'), node('y')],
      [edge('e1', 'c', 'x'), edge('e2', 'x', 'y'), edge('e3', 'p', 'y')],
    )
    store.onEdgesChange(['e1', 'e2', 'e3'].map((id) => ({ type: 'remove', id })))
    store.onNodesChange(['p', 'c'].map((id) => ({ type: 'remove', id })))
    expect(store.getSnapshot().nodes.map(({ id }) => id)).toEqual(['x', 'y'])
    expect(store.getSnapshot().edges).toEqual([])
    await endOfTask()
    expect(graph.commits).toHaveLength(1)
    expect(graph.commits[0]?.calls).toEqual([
      ['deleteEdge', 'e2'],
      ['deleteNode', 'p'],
    ])
  })

  test('M7 instance.setNodes(filter) says only `remove`: the parent takes its child and edges along, at once', async () => {
    const { graph, store } = setUp([node('p'), node('c', { parentId: 'p' }), node('x')], [edge('e', 'c', 'x')])
    store.onNodesChange([{ type: 'remove', id: 'p' }])
    expect(store.getSnapshot().nodes.map(({ id }) => id)).toEqual(['x'])
    expect(store.getSnapshot().edges).toEqual([])
    await endOfTask()
    expect(graph.commits[0]?.calls).toEqual([['deleteNode', 'p']])
  })

  test('M7 ungrouping: children leave before their group is deleted, so it does not take them along', async () => {
    const { graph, store } = setUp([node('p'), node('c', { parentId: 'p', extent: 'parent' })])
    const { parentId: _, extent: __, ...free } = store.node('c')!
    store.onNodesChange([
      { type: 'replace', id: 'c', item: { ...free, position: { x: 9, y: 9 } } },
      { type: 'remove', id: 'p' },
    ])
    await endOfTask()
    expect(graph.commits[0]?.calls).toEqual([
      ['updateNode', 'c', { parentId: null, extent: null }],
      ['moveNode', 'c', { x: 9, y: 9 }],
      ['deleteNode', 'p'],
    ])
    expect(store.getSnapshot().nodes.map(({ id }) => id)).toEqual(['c'])
  })

  test('M7 a drop into a group: the layout effect that sets the parent belongs to the drag', async () => {
    const { graph, store } = setUp([node('p'), node('a')])
    store.onNodesChange([move('a', 50, 50, true)])
    store.onNodesChange([move('a', 50, 50, false)])
    await Promise.resolve() // React renders in a microtask
    const item = { ...store.node('a')!, parentId: 'p', position: { x: 5, y: 5 } }
    store.onNodesChange([{ type: 'replace', id: 'a', item }])
    await endOfTask()
    expect(graph.commits).toHaveLength(1)
    expect(graph.commits[0]?.label).toBe('Change group')
    expect(graph.commits[0]?.calls).toEqual([
      ['updateNode', 'a', { parentId: 'p' }],
      ['moveNode', 'a', { x: 5, y: 5 }],
    ])
  })

  test('M7 a node made together with its edge is one commit', async () => {
    const { graph, store } = setUp([node('a')])
    store.onNodesChange([{ type: 'add', item: { ...node('b'), selected: true, data: { label: 'b' } } }])
    store.onConnect({ source: 'a', target: 'b', sourceHandle: null, targetHandle: null })
    expect(store.node('b')?.selected).toBe(true)
    await endOfTask()
    expect(graph.commits).toHaveLength(1)
    expect(graph.commits[0]?.calls).toEqual([
      ['createNode', { id: 'b', position: { x: 0, y: 0 }, data: { label: 'b' } }],
      ['createEdge', { id: 'new-1', source: 'a', target: 'b' }],
    ])
    expect(store.node('b')?.selected).toBe(true)
  })

  test('M7 arrow keys pause before they are sent, and are one step of undo', async () => {
    const { graph, store, clock } = setUp([node('a')])
    store.onNodesChange([move('a', 5, 0, false)])
    clock.pass(100)
    store.onNodesChange([move('a', 10, 0, false)])
    await endOfTask()
    expect(graph.commits).toEqual([])
    expect(store.node('a')?.position).toEqual({ x: 10, y: 0 })
    clock.pass(300)
    expect(graph.commits.map(({ calls }) => calls)).toEqual([[['moveNode', 'a', { x: 10, y: 0 }]]])
    clock.pass(100)
    store.onNodesChange([move('a', 15, 0, false)])
    clock.pass(300)
    expect(graph.commits[1]?.options.undoGroup).toBe(graph.commits[0]?.options.undoGroup)
    clock.pass(5000)
    store.onNodesChange([move('a', 20, 0, false)])
    clock.pass(300)
    expect(graph.commits[2]?.options.undoGroup).not.toBe(graph.commits[0]?.options.undoGroup)
  })

  test('M4 leaving in the middle of a drag sends where it is, and the rest of the drag goes on from there', async () => {
    const { graph, store } = setUp([node('a')])
    store.onNodesChange([move('a', 30, 0, true)])
    store.flush()
    expect(graph.commits.map(({ calls }) => calls)).toEqual([[['moveNode', 'a', { x: 30, y: 0 }]]])
    store.onNodesChange([move('a', 60, 0, true)])
    await endOfTask()
    expect(graph.commits).toHaveLength(1)
    store.onNodesChange([move('a', 60, 0, false)])
    await endOfTask()
    expect(graph.commits).toHaveLength(2)
  })

  test('M4 unmounting sends what is held', () => {
    const { graph, store, stop } = setUp([node('a')])
    store.onNodesChange([move('a', 30, 0, true)])
    stop()
    expect(graph.commits).toHaveLength(1)
    expect(graph.listening).toBe(0)
    expect(graph.released).toBe(1)
  })

  test('A11 undo sends the open gesture first', () => {
    const { graph, store } = setUp([node('a')])
    store.setField('a', '/data/label', 'ab')
    store.undo()
    expect(graph.commits).toHaveLength(1)
    expect(graph.undone).toBe(1)
  })

  test('A11 a node that vanished while it was dragged is left out', async () => {
    const { graph, store } = setUp([node('a'), node('b')])
    store.onNodesChange([move('a', 30, 0, true), move('b', 30, 0, true)])
    graph.remote((on) => on.deleteNode('a'))
    store.onNodesChange([move('a', 30, 0, false), move('b', 30, 0, false)])
    await endOfTask()
    expect(graph.commits.map(({ calls }) => calls)).toEqual([[['moveNode', 'b', { x: 30, y: 0 }]]])
  })

  test.each([
    ['a drag', (store) => store.onNodesChange([move('a', 30, 0, true)]), ['moveNode', 'a', { x: 30, y: 0 }]],
    ['text', (store) => store.setField('a', '/data/label', 'typed'), ['updateNode', 'a', { data: { label: 'typed' } }]],
    [
      'text on an edge',
      (store) => store.setField('e', '/data/label', 'typed'),
      ['updateEdge', 'e', { data: { label: 'typed' } }],
    ],
  ] as [string, (store: FlowStore) => void, Call][])(
    'M2 %s of what was deleted meanwhile, and nothing else, is sent, so that the server refuses it',
    async (_, edit, call) => {
      const { graph, store } = setUp([node('a'), node('b')], [{ ...edge('e', 'a', 'b'), data: { label: 'e' } }])
      edit(store)
      graph.remote((on) => on.deleteNode('a'))
      store.onNodesChange([move('a', 31, 0, false)])
      store.flush()
      expect(graph.commits.map(({ calls }) => calls)).toEqual([[call]])
    },
  )

  test('M2 what this task deletes is not written', async () => {
    const { graph, store } = setUp([node('a'), node('b')])
    store.onNodesChange([{ type: 'remove', id: 'a' }])
    store.onNodesChange([move('a', 9, 9)])
    await endOfTask()
    store.onNodesChange([move('a', 9, 9, false)])
    store.setField('a', '/data/label', 'typed')
    expect(store.node('a')).toBeUndefined()
    store.flush()
    expect(graph.commits.map(({ calls }) => calls)).toEqual([[['deleteNode', 'a']]])
  })

  test('M11 reconnecting keeps the id of the edge', async () => {
    const { graph, store } = setUp([node('a'), node('b'), node('c')], [{ ...edge('e', 'a', 'b'), targetHandle: 'in' }])
    store.onReconnect(store.edge('e')!, { source: 'a', target: 'c', sourceHandle: null, targetHandle: null })
    await endOfTask()
    expect(graph.commits[0]?.calls).toEqual([['updateEdge', 'e', { target: 'c', targetHandle: null }]])
    expect(graph.commits[0]?.label).toBe('Reconnect')
  })

  test('M7 a connection that exists is not made again', async () => {
    const { graph, store } = setUp([node('a'), node('b')], [edge('e', 'a', 'b')])
    store.onConnect({ source: 'a', target: 'b', sourceHandle: null, targetHandle: null })
    await endOfTask()
    expect(graph.commits).toEqual([])
  })
})
