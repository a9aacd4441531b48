/** Two flow stores over the real client and a server in memory: what the layers are for when others write, too. */
import type { Graph, Refusal } from '@dao-api/client'
import { type TestServer, testServer } from '@dao-api/client/testing'
import { afterEach, describe, expect, test } from 'vitest'
import { FlowStore } from '../../src/flow_store.ts'
import { Clock, endOfTask } from './set_up.ts'

interface Editor {
  store: FlowStore
  clock: Clock
  emissions: () => number
  refusals: Refusal[]
}

const ends: (() => void)[] = []
afterEach(() => {
  for (const end of ends.splice(0)) end()
})

let ids = 0
function editor(server: TestServer, user: string): Editor {
  const client = server.client(user)
  ends.push(() => void client.close())
  return editorOf(client.graph('g'))
}

/** As a component that is mounted, perhaps once more. */
function editorOf(graph: Graph): Editor {
  const clock = new Clock()
  let count = 0
  const store = new FlowStore(
    { open: () => graph, retain: () => ({ graph, release: () => {} }) },
    {},
    {
      now: clock.now,
      after: clock.after,
      frame: clock.frame,
      leaving: () => () => {},
      newId: () => `id-${++ids}`,
      warn: () => {},
    },
  )
  const refusals: Refusal[] = []
  const stops = [store.subscribe(() => count++), graph.on('refused', (refusal) => refusals.push(refusal))]
  ends.unshift(() => {
    for (const stop of stops) stop()
  })
  return { store, clock, emissions: () => count, refusals }
}

async function pair(): Promise<{ server: TestServer; ada: Editor; bob: Editor }> {
  const server = testServer()
  const [ada, bob] = [editor(server, 'ada'), editor(server, 'bob')]
  await server.quiet()
  const add = (id: string, parentId?: string) =>
    ({
      type: 'add',
      item: { id, position: { x: 0, y: 0 }, data: { label: id }, ...(parentId && { parentId }) },
    }) as const
  ada.store.onNodesChange([add('c', 'p'), add('p'), add('x')])
  ada.store.onConnect({ source: 'p', target: 'x', sourceHandle: null, targetHandle: null })
  await endOfTask()
  await server.quiet()
  return { server, ada, bob }
}

const names = (store: FlowStore): string[] => store.getSnapshot().nodes.map(({ id }) => id)
const move = (id: string, x: number, dragging: boolean) => ({
  type: 'position' as const,
  id,
  position: { x, y: 0 },
  dragging,
})

describe('two editors', () => {
  test('M7 M11 nodes made in the wrong order arrive as one commit, parents first', async () => {
    const { server, ada, bob } = await pair()
    expect(server.state('g').version).toBe(1)
    expect(names(bob.store)).toEqual(['p', 'c', 'x'])
    expect(bob.store.getSnapshot().edges).toHaveLength(1)
    expect(names(ada.store)).toEqual(names(bob.store))
  })

  test('M7 what is typed where the flow is shown again is a step of undo of its own', async () => {
    const { server, ada } = await pair()
    ada.store.setField('p', '/data/label', 'one')
    ada.store.flush()
    const again = editorOf(ada.store.graph)
    again.store.setField('x', '/data/label', 'two')
    again.store.flush()
    await server.quiet()
    await again.store.undo()
    const label = (id: string): unknown => ada.store.node(id)?.data.label
    expect([label('p'), label('x')]).toEqual(['one', 'x'])
  })

  test('M4 a flow that goes after its client was closed says that what it held is not sent', async () => {
    const server = testServer()
    const client = server.client('ada')
    const graph = client.graph('g')
    graph.createNode({ id: 'a', data: { label: 'x' } })
    await server.quiet()
    const warnings: string[] = []
    let isReleased = false
    const release = (): void => {
      isReleased = true
    }
    const { now, after, frame } = new Clock()
    const store = new FlowStore(
      { open: () => graph, retain: () => ({ graph, release }) },
      {},
      {
        ...{ now, after, frame, leaving: () => () => {}, newId: () => 'new' },
        warn: (message) => void warnings.push(message),
      },
    )
    const stop = store.subscribe(() => {})
    store.setField('a', '/data/label', 'held')
    await client.close()
    stop()
    expect(warnings).toEqual([expect.stringContaining('graph g is closed')])
    expect(isReleased).toBe(true)
  })

  test('M9 an own drag is emitted while it goes on; its command, its commit and its answer change nothing', async () => {
    const { server, ada, bob } = await pair()
    ada.store.onNodesChange([move('x', 5, true)])
    ada.store.onNodesChange([move('x', 5, false)])
    const [count, snapshot] = [ada.emissions(), ada.store.getSnapshot()]
    await endOfTask()
    await server.quiet()
    expect(server.state('g').version).toBe(2)
    expect(ada.emissions()).toBe(count)
    expect(ada.store.getSnapshot()).toBe(snapshot)
    expect(bob.store.node('x')?.position).toEqual({ x: 5, y: 0 })
  })

  test('A15 a drag is seen by the other before it is committed, and does not jump back', async () => {
    const { server, ada, bob } = await pair()
    ada.store.onNodesChange([move('x', 5, true)])
    await server.quiet()
    bob.clock.paint()
    expect(bob.store.node('x')?.position.x).toBe(5)
    expect(server.state('g').version).toBe(1)
    const seen: unknown[] = []
    bob.store.subscribe(() => seen.push(bob.store.node('x')?.position.x))
    ada.store.onNodesChange([move('x', 9, false)])
    await endOfTask()
    await server.quiet()
    bob.clock.paint()
    expect(seen).not.toContain(0)
    expect(bob.store.node('x')?.position.x).toBe(9)
  })

  test('M6 text that was held over a remote write is refused, not written over it, and can be written after all', async () => {
    const { server, ada, bob } = await pair()
    ada.store.setField('x', '/data/label', 'by Ada')
    bob.store.setField('x', '/data/label', 'by Bob')
    bob.store.flush()
    await server.quiet()
    expect(ada.store.node('x')?.data).toEqual({ label: 'by Ada' })
    ada.clock.pass(300)
    await server.quiet()
    expect(ada.store.node('x')?.data).toEqual({ label: 'by Bob' })
    expect(ada.refusals).toHaveLength(1)
    expect(ada.refusals[0]?.conflicts).toMatchObject([
      { yours: 'by Ada', current: 'by Bob', by: 'bob', path: '/data/label' },
    ])
    ada.refusals[0]?.retry('overwrite')
    await server.quiet()
    expect(bob.store.node('x')?.data).toEqual({ label: 'by Ada' })
  })

  test('M7 M8 undo of a deletion brings back what went with it', async () => {
    const { server, ada, bob } = await pair()
    ada.store.onNodesChange([{ type: 'remove', id: 'p' }])
    await endOfTask()
    await server.quiet()
    expect(names(bob.store)).toEqual(['x'])
    expect(bob.store.getSnapshot().edges).toEqual([])
    await ada.store.undo()
    await server.quiet()
    expect(names(bob.store)).toEqual(['p', 'c', 'x'])
    expect(bob.store.getSnapshot().edges).toHaveLength(1)
    expect(names(ada.store)).toEqual(['p', 'c', 'x'])
  })

  test('A11 a drag of nodes of which one was deleted meanwhile moves the others', async () => {
    const { server, ada, bob } = await pair()
    ada.store.onNodesChange([move('p', 5, true), move('x', 5, true)])
    server.cut()
    bob.store.onNodesChange([{ type: 'remove', id: 'x' }])
    ada.store.onNodesChange([move('p', 5, false), move('x', 5, false)])
    await endOfTask()
    server.restore()
    await server.quiet()
    expect(names(ada.store)).toEqual(['p', 'c'])
    expect(names(bob.store)).toEqual(['p', 'c'])
    expect(server.state('g').nodes.find(({ id }) => id === 'p')?.position).toEqual({ x: 5, y: 0 })
    expect(ada.refusals).toEqual([])
  })
})
