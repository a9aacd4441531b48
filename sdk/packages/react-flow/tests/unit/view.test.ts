import { describe, expect, test } from 'vitest'
import { edge, endOfTask, node, setUp } from './set_up.ts'

const measure = (id: string, width = 80, height = 40) => ({
  type: 'dimensions' as const,
  id,
  dimensions: { width, height },
})

describe('M9 the identity of what React Flow is given', () => {
  test('M9 a remote change of one node gives one new object; the others and the list of edges are the same', () => {
    const { graph, store } = setUp([node('a'), node('b'), node('c')], [edge('e', 'a', 'b')])
    const before = store.getSnapshot()
    graph.remote((on) => on.moveNode('b', { x: 7, y: 7 }))
    const after = store.getSnapshot()
    expect(after.nodes.map((each, i) => each === before.nodes[i])).toEqual([true, false, true])
    expect(after.nodes[1]?.data).toBe(before.nodes[1]?.data)
    expect(after.edges).toBe(before.edges)
  })

  test('M9 an own edit is emitted when it is made, and not again when it becomes a command', async () => {
    const { store, emissions } = setUp([node('a')])
    store.onNodesChange([{ type: 'replace', id: 'a', item: { ...store.node('a')!, data: { label: 'z' } } }])
    expect(emissions()).toBe(1)
    const shown = store.node('a')
    await endOfTask()
    expect(emissions()).toBe(1)
    expect(store.node('a')).toBe(shown)
  })

  test('M9 an equal object from the graph is not a change', () => {
    const { graph, store, emissions } = setUp([node('a', { data: { deep: { x: [1, 2] } } })])
    const before = store.getSnapshot()
    graph.remote((on) => on.updateNode('a', { data: { deep: { x: [1, 2] } } }))
    expect(store.getSnapshot()).toBe(before)
    expect(emissions()).toBe(0)
  })

  test('M9 measured sizes are always carried, and stay on this screen', async () => {
    const { graph, store } = setUp([node('a')])
    store.onNodesChange([measure('a')])
    graph.remote((on) => on.updateNode('a', { data: { label: 'new' } }))
    expect(store.node('a')).toMatchObject({ measured: { width: 80, height: 40 }, data: { label: 'new' } })
    await endOfTask()
    expect(graph.commits).toEqual([])
    expect(store.node('a')).not.toHaveProperty('width')
  })

  test('M9 a parent that grows because of a measured child grows on this screen only, until it is stored otherwise', async () => {
    const { graph, store } = setUp([
      node('p', { width: 50, height: 50 }),
      node('c', { parentId: 'p', expandParent: true }),
    ])
    store.onNodesChange([
      measure('c'),
      { type: 'dimensions', id: 'p', setAttributes: true, dimensions: { width: 80, height: 50 } },
    ])
    await endOfTask()
    expect(graph.commits).toEqual([])
    expect(store.node('p')).toMatchObject({ width: 80, height: 50 })
    graph.remote((on) => on.updateNode('p', { data: { label: 'group' } }))
    expect(store.node('p')?.width).toBe(80)
    graph.remote((on) => on.updateNode('p', { width: 120 }))
    expect(store.node('p')?.width).toBe(120)
  })

  test('M10 a change is in the snapshot before the call returns', () => {
    const { store } = setUp([node('a')])
    store.onNodesChange([{ type: 'replace', id: 'a', item: { ...store.node('a')!, data: { label: 'typed' } } }])
    expect(store.getSnapshot().nodes[0]?.data).toEqual({ label: 'typed' })
  })

  test('M11 parents come first, also for nodes of this very task', async () => {
    const { store } = setUp([node('a')])
    store.onNodesChange([
      { type: 'add', item: { ...node('c', { parentId: 'p' }), data: {} } },
      { type: 'add', item: { ...node('p'), data: {} } },
      { type: 'replace', id: 'a', item: { ...store.node('a')!, parentId: 'c' } },
    ])
    expect(store.getSnapshot().nodes.map(({ id }) => id)).toEqual(['p', 'c', 'a'])
    await endOfTask()
    expect(store.getSnapshot().nodes).toHaveLength(3)
  })
})

describe('§5 what is shared and what stays on this screen', () => {
  test('select is local; it is seen by others as presence', async () => {
    const { graph, store } = setUp([node('a')], [edge('e', 'a', 'a')], { me: { name: 'Ada' } })
    store.onNodesChange([{ type: 'select', id: 'a', selected: true }])
    store.onEdgesChange([{ type: 'select', id: 'e', selected: true }])
    await endOfTask()
    expect(graph.commits).toEqual([])
    expect(store.node('a')?.selected).toBe(true)
    expect(graph.shown.at(-1)).toEqual({ slot: '', state: { name: 'Ada', selection: ['a', 'e'] } })
  })

  test('replace is compared leaf by leaf', async () => {
    const { graph, store } = setUp([node('a', { data: { label: 'a', style: { color: 'red', width: 1 } } })])
    const shown = store.node('a')!
    store.onNodesChange([
      { type: 'replace', id: 'a', item: { ...shown, data: { label: 'a', style: { color: 'blue', width: 1 } } } },
    ])
    await endOfTask()
    expect(graph.commits[0]?.calls).toEqual([['updateNode', 'a', { data: { style: { color: 'blue' } } }]])
  })

  test('replace says what its author changed, not what others changed meanwhile', async () => {
    const { graph, store } = setUp([node('a', { data: { label: 'a', note: 'n' } })])
    const old = store.node('a')!
    graph.remote((on) => on.updateNode('a', { data: { note: 'by Bob' } }))
    store.onNodesChange([{ type: 'replace', id: 'a', item: { ...old, data: { ...old.data, label: 'mine' } } }])
    await endOfTask()
    expect(graph.commits[0]?.calls).toEqual([['updateNode', 'a', { data: { label: 'mine' } }]])
    expect(store.node('a')?.data).toEqual({ label: 'mine', note: 'by Bob' })
  })

  test('a removed field is removed, and a position is a command of its own', async () => {
    const { graph, store } = setUp([node('a', { data: { label: 'a', note: 'n' } })])
    store.onNodesChange([
      { type: 'replace', id: 'a', item: { ...store.node('a')!, position: { x: 1, y: 2 }, data: { label: 'a' } } },
    ])
    await endOfTask()
    expect(graph.commits[0]?.calls).toEqual([
      ['updateNode', 'a', { data: { note: null } }],
      ['moveNode', 'a', { x: 1, y: 2 }],
    ])
  })

  test('a null inside data is said by replacing the node', async () => {
    const { graph, store } = setUp([node('a')])
    store.onNodesChange([{ type: 'replace', id: 'a', item: { ...store.node('a')!, data: { label: 'a', due: null } } }])
    await endOfTask()
    expect(graph.commits[0]?.calls).toEqual([
      ['replaceNodes', [{ id: 'a', position: { x: 0, y: 0 }, data: { label: 'a', due: null } }]],
    ])
    expect(store.node('a')?.data).toEqual({ label: 'a', due: null })
  })

  test('functions in data stay here, with one warning that names the path', async () => {
    const { graph, store, warnings } = setUp([node('a')])
    const onClick = (): void => {}
    store.onNodesChange([{ type: 'add', item: { id: 'b', position: { x: 0, y: 0 }, data: { label: 'b', onClick } } }])
    store.onNodesChange([{ type: 'replace', id: 'a', item: { ...store.node('a')!, data: { label: 'a', onClick } } }])
    await endOfTask()
    expect(graph.commits[0]?.calls).toEqual([
      ['createNode', { id: 'b', position: { x: 0, y: 0 }, data: { label: 'b' } }],
    ])
    expect(store.node('a')?.data).toEqual({ label: 'a', onClick })
    expect(store.node('b')?.data).toEqual({ label: 'b', onClick })
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toContain('"data.onClick"')
  })

  test('paths listed in `local` stay here, by type', async () => {
    const { graph, store } = setUp([node('a', { type: 'task' }), node('b')], [], { local: { task: ['data.hover'] } })
    store.setField('a', '/data/hover', true)
    store.setField('b', '/data/hover', true)
    await endOfTask()
    expect(graph.commits.map(({ calls }) => calls)).toEqual([[['updateNode', 'b', { data: { hover: true } }]]])
    expect(store.node('a')?.data).toEqual({ label: 'a', hover: true })
  })

  test('nothing local is in a command: a whole object that comes back from React Flow', async () => {
    const { graph, store } = setUp([node('a')])
    store.onNodesChange([measure('a'), { type: 'select', id: 'a', selected: true }])
    const item = { ...store.node('a')!, dragging: true, resizing: false, data: { label: 'b' } }
    store.onNodesChange([{ type: 'replace', id: 'a', item }])
    store.onNodesChange([{ type: 'add', item: { ...item, id: 'copy' } }])
    await endOfTask()
    expect(graph.commits[0]?.calls).toEqual([
      ['createNode', { id: 'copy', position: { x: 0, y: 0 }, data: { label: 'b' } }],
      ['updateNode', 'a', { data: { label: 'b' } }],
    ])
  })

  test('with access to read, nothing is written and selecting still works', async () => {
    const { graph, store } = setUp([node('a'), node('b')])
    graph.setAccess('read')
    store.onNodesChange([{ type: 'select', id: 'a', selected: true }])
    store.onNodesChange([{ type: 'position', id: 'a', position: { x: 9, y: 9 }, dragging: true }])
    store.onNodesChange([{ type: 'position', id: 'a', position: { x: 9, y: 9 }, dragging: false }])
    store.onNodesChange([{ type: 'remove', id: 'b' }])
    store.onConnect({ source: 'a', target: 'b', sourceHandle: null, targetHandle: null })
    store.setField('a', '/data/label', 'no')
    await endOfTask()
    expect(graph.commits).toEqual([])
    expect(store.getSnapshot()).toMatchObject({
      readOnly: true,
      nodes: [{ id: 'a', selected: true, position: { x: 0, y: 0 } }, { id: 'b' }],
    })
  })
})

describe('§5 typing into a field', () => {
  test('M10 text is in the view at once and sent when typing pauses, as one step of undo', () => {
    const { graph, store, clock } = setUp([node('a')])
    for (const label of ['ab', 'abc']) {
      store.setField('a', '/data/label', label)
      expect(store.node('a')?.data).toEqual({ label })
      clock.pass(200)
    }
    expect(graph.commits).toEqual([])
    clock.pass(100)
    expect(graph.commits.map(({ calls }) => calls)).toEqual([[['updateNode', 'a', { data: { label: 'abc' } }]]])
    store.setField('a', '/data/label', 'abcd')
    clock.pass(300)
    expect(graph.commits[1]?.options.undoGroup).toBe(graph.commits[0]?.options.undoGroup)
  })

  test('others see text that is typed without a pause after a second', () => {
    const { graph, store, clock } = setUp([node('a')])
    for (let i = 0; i < 12; i++) {
      store.setField('a', '/data/label', 'x'.repeat(i + 2))
      clock.pass(100)
    }
    expect(graph.commits).toHaveLength(1)
  })

  test('M6 what somebody else wrote while text was held is a conflict: the command names the point that was seen', () => {
    const { graph, store, clock } = setUp([node('a')])
    store.setField('a', '/data/label', 'mine')
    graph.setPoint(8)
    graph.remote((on) => on.updateNode('a', { data: { label: 'theirs' } }))
    expect(store.node('a')?.data).toEqual({ label: 'mine' })
    clock.pass(300)
    expect(graph.commits[0]?.options.since).toEqual({ version: 7, hash: 'h7' })
  })

  test('M7 text that is still held is sent before a later edit, as a step of its own', async () => {
    const { graph, store } = setUp([node('a'), node('b')])
    store.setField('a', '/data/label', 'typed')
    store.onNodesChange([{ type: 'remove', id: 'b' }])
    await endOfTask()
    expect(graph.commits.map(({ calls }) => calls)).toEqual([
      [['updateNode', 'a', { data: { label: 'typed' } }]],
      [['deleteNode', 'b']],
    ])
  })

  test('text of an edge', () => {
    const { graph, store, clock } = setUp([node('a')], [{ ...edge('e', 'a', 'a'), data: { label: 'x' } }])
    store.setField('e', '/data/label', 'xy')
    expect(store.edge('e')?.data).toEqual({ label: 'xy' })
    clock.pass(300)
    expect(graph.commits[0]?.calls).toEqual([['updateEdge', 'e', { data: { label: 'xy' } }]])
  })
})
