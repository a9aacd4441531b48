import { expect, test } from 'vitest'
import { ClientShell } from '../../src/client.ts'
import { hashOf, LIMITS, node } from '../machine/driver.ts'
import { settle, World } from './world.ts'

const WELCOME = { type: 'WELCOME', connectionId: 'c', heartbeatMs: 30_000, serverTime: 0, limits: LIMITS }
const REFUSED = { type: 'ERROR', graphId: 'g', code: 'FORBIDDEN', message: 'no' }
const SYNC = {
  ...{ type: 'SYNC', graphId: 'g', status: 'snapshot', version: 1, hash: hashOf(1), access: 'write', settled: [] },
  state: { nodes: [node('a')], edges: [], viewport: { x: 0, y: 0, zoom: 1 }, attributes: {} },
}

async function live() {
  const world = new World()
  const client = new ClientShell({ url: 'ws://test/ws' }, world)
  const graph = client.graph('g')
  await settle()
  world.socket.open()
  world.socket.say(WELCOME)
  world.socket.say(SYNC)
  world.draw()
  const asked = (): number => world.socket.sent.filter(({ type }) => type === 'SUBSCRIBE').length
  return { world, client, graph, asked }
}

test('O1 a graph that may not be followed and is held is followed again when it is asked for', async () => {
  const { world, client, graph, asked } = await live()
  world.socket.say(REFUSED)
  expect(graph.status).toMatchObject({ connection: 'closed', refusal: 'FORBIDDEN' })
  expect(client.graph('g')).toBe(graph)
  await settle()
  expect(asked()).toBe(2)
  expect(graph.status.connection).toBe('offline')
  expect(graph.status).not.toHaveProperty('refusal')
  // Asked for meanwhile, it is not asked for twice.
  client.graph('g').close()
  await settle()
  expect(asked()).toBe(2)
  world.socket.say(REFUSED)
  expect(graph.status.connection).toBe('closed')
  client.graph('g').close()
  client.graph('g').close()
  await settle()
  expect(asked()).toBe(3)
  world.socket.say(SYNC)
  expect(graph.status.connection).toBe('live')
})

test('O1 a graph that may not be followed and has edits is followed again when it is asked for', async () => {
  const { world, client, graph, asked } = await live()
  world.socket.say(REFUSED)
  graph.moveNode('a', { x: 1, y: 1 })
  graph.close()
  expect(client.graph('g')).toBe(graph)
  await settle()
  expect(asked()).toBe(2)
  world.socket.say(SYNC)
  expect(graph.status).toMatchObject({ connection: 'live', pending: 1 })
  expect(world.socket.types().at(-1)).toBe('COMMAND')
})

test('O1 without a connection, a graph that may not be followed waits for the next one', async () => {
  const { world, client, asked } = await live()
  world.socket.say(REFUSED)
  world.socket.end()
  client.graph('g')
  await settle()
  expect(asked()).toBe(1)
  await world.pass(60_000)
  expect(world.sockets.length).toBeGreaterThan(1)
  expect(asked()).toBe(0)
  world.socket.open()
  world.socket.say(WELCOME)
  expect(asked()).toBe(1)
})
