import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Client, CommandRefused, createClient, type Graph, type Refusal } from '../../src/index.ts'
import { msgpack } from '../../src/msgpack.ts'
import { CuttingProxy } from './proxy.ts'
import { Server } from './server.ts'

const server = new Server()
const clients: Client[] = []

beforeAll(() => server.start())
afterAll(async () => {
  await Promise.all(clients.map((client) => client.close()))
  await server.end()
})

function connect(user: string): Client {
  const client = createClient({ url: `ws://127.0.0.1:${server.port}/ws?userId=${user}` })
  clients.push(client)
  return client
}

/** Resolves when it holds, checked after each change. */
function until(graph: Graph, holds: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const stops: (() => void)[] = []
    const check = (): void => {
      if (!holds()) return
      for (const stop of stops) stop()
      resolve()
    }
    stops.push(graph.subscribe(check), graph.subscribeStatus(check), graph.subscribeOthers(check))
    check()
  })
}

function labelOf(graph: Graph, id: string): unknown {
  return (graph.node(id)?.data as { label?: unknown } | undefined)?.label
}

test('M10 an edit shows before the call returns, and everybody gets it', async () => {
  const [ada, bob] = [connect('ada').graph('first'), connect('bob').graph('first')]
  await Promise.all([ada.ready, bob.ready])
  const made = ada.createNode({ type: 'task', position: { x: 1, y: 2 }, data: { label: 'x' } })
  expect(ada.node(made.id)?.data).toEqual({ label: 'x' })
  expect(ada.getSnapshot().nodes).toHaveLength(1)
  await expect(made.settled).resolves.toEqual(expect.objectContaining({ outcome: 'applied', version: 1 }))
  await until(bob, () => bob.getSnapshot().nodes.length === 1)
  expect(bob.node(made.id)).toEqual({ id: made.id, type: 'task', position: { x: 1, y: 2 }, data: { label: 'x' } })
  expect(ada.status).toMatchObject({ connection: 'live', pending: 0, persisted: true, access: 'admin' })
})

test('M2 a refusal says who wrote what, and can be tried again', async () => {
  const [ada, bob] = [connect('ada').graph('second'), connect('bob').graph('second')]
  await Promise.all([ada.ready, bob.ready])
  const { id, settled } = ada.createNode({ data: { label: 'start' } })
  await settled
  await until(bob, () => bob.node(id) !== undefined)
  const since = ada.status.point
  await bob.updateNode(id, { data: { label: 'bob' } }).settled
  await until(ada, () => labelOf(ada, id) === 'bob')
  const refusals: Refusal[] = []
  ada.on('refused', (refusal) => refusals.push(refusal))
  const sent = ada.updateNode(id, { data: { label: 'ada' } }, { since, label: 'Rename' })
  expect(labelOf(ada, id)).toBe('ada')
  await expect(sent.settled).rejects.toBeInstanceOf(CommandRefused)
  const [refusal] = refusals
  expect(refusal).toMatchObject({ code: 'CONFLICT', operationId: sent.operationId })
  expect(refusal?.conflicts).toMatchObject([
    { entity: 'node', id, path: '/data/label', yours: 'ada', current: 'bob', by: 'bob' },
  ])
  expect(refusal?.summary).toBe(`“Rename” was not saved: bob changed label of “bob”.`)
  await until(ada, () => labelOf(ada, id) === 'bob')
  await expect(refusal?.retry()?.settled).resolves.toMatchObject({ outcome: 'applied' })
})

test('U13 a batch is one step, its undo is predicted, and redo puts it back', async () => {
  const ada = connect('ada').graph('third')
  await ada.ready
  const sent = ada.batch('Paste', (batch) => {
    const { id } = batch.createNode({ id: 'a' })
    batch.createNode({ id: 'b' })
    batch.createEdge({ id: 'ab', source: id, target: 'b' })
  })
  await sent?.settled
  expect(ada.history).toEqual({ canUndo: true, canRedo: false, undoLabel: 'Paste', redoLabel: null })
  const undone = ada.undo()
  expect(ada.getSnapshot().nodes).toHaveLength(0)
  await expect(undone).resolves.toMatchObject({ outcome: 'applied', skipped: [] })
  expect(ada.history).toMatchObject({ canUndo: false, canRedo: true, redoLabel: 'Paste' })
  const redone = ada.redo()
  expect(ada.getSnapshot().edges).toHaveLength(1)
  await redone
  expect(ada.getSnapshot()).toMatchObject({ nodes: [{ id: 'a' }, { id: 'b' }], edges: [{ id: 'ab' }] })
  expect(ada.status.point.version).toBe(3)
})

test('U13 an undo of what is not answered yet follows right behind it', async () => {
  const ada = connect('ada').graph('fourth')
  await ada.ready
  const { id } = ada.createNode({ data: { label: 'one' } })
  ada.updateNode(id, { data: { label: 'two' } })
  const undone = ada.undo()
  expect(labelOf(ada, id)).toBe('one')
  await expect(undone).resolves.toMatchObject({ outcome: 'applied' })
  expect(labelOf(ada, id)).toBe('one')
  const redone = ada.redo()
  await redone
  expect(labelOf(ada, id)).toBe('two')
})

test('A15 others show what they show, and are gone when they leave', async () => {
  const [ada, bobClient] = [connect('ada').graph('fifth'), connect('bob')]
  const bob = bobClient.graph('fifth')
  await Promise.all([ada.ready, bob.ready])
  bob.presence.set({ name: 'Bob' })
  bob.presence.set({ x: 1, y: 2 }, 'cursor')
  await until(ada, () => ada.others.length === 1 && ada.others[0]?.slots.cursor !== undefined)
  expect(ada.others).toEqual([
    { clientId: bob.clientId, userId: 'bob', slots: { '': { name: 'Bob' }, cursor: { x: 1, y: 2 } } },
  ])
  await bobClient.close()
  await until(ada, () => ada.others.length === 0)
})

test('M3 what is edited while the server is away is sent when it is back', async () => {
  const ada = connect('ada').graph('sixth')
  await ada.ready
  await ada.createNode({ id: 'a' }).settled
  await server.kill()
  await until(ada, () => ada.status.connection === 'offline')
  const offline = ada.updateNode('a', { data: { label: 'offline' } })
  expect(ada.status).toMatchObject({ pending: 1, persisted: false })
  await server.start()
  await expect(offline.settled).resolves.toMatchObject({ outcome: 'applied', version: 2 })
})

test('the same over MessagePack', async () => {
  const client = createClient({ url: `ws://127.0.0.1:${server.port}/ws?userId=ada`, codec: msgpack })
  clients.push(client)
  const graph = client.graph('packed')
  await graph.ready
  const { id, settled } = graph.createNode({ position: { x: 1.5, y: -2 }, data: { label: 'ü', list: [1, null, true] } })
  await settled
  const state = (await server.get('/graphs/packed/state')) as { nodes: { data: unknown }[] }
  expect(state.nodes).toMatchObject([{ id, position: { x: 1.5, y: -2 }, data: { label: 'ü', list: [1, null, true] } }])
})

test('A9 a client that stops reading comes back to the state, and loses nothing of its own', async () => {
  const proxy = await CuttingProxy.to(() => server.port)
  const slow = createClient({ url: `ws://127.0.0.1:${proxy.port}/ws?userId=slow` })
  clients.push(slow)
  const [graph, ada] = [slow.graph('slow'), connect('ada').graph('slow')]
  await Promise.all([graph.ready, ada.ready])
  await ada.createNode({ id: 'a' }).settled
  proxy.stall(1_500, 'to client')
  const mine = graph.createNode({ id: 'mine' })
  const text = 'x'.repeat(20_000)
  const sent = Array.from({ length: 60 }, (_, at) => ada.updateNode('a', { data: { at, text } }))
  await Promise.all(sent.map(({ settled }) => settled))
  await expect(mine.settled).resolves.toMatchObject({ outcome: 'applied' })
  await until(graph, () => graph.status.point.version === ada.status.point.version)
  expect(graph.getSnapshot().nodes).toEqual(ada.getSnapshot().nodes)
  await slow.close()
  await proxy.end()
})
