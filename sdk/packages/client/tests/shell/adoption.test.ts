import { expect, test } from 'vitest'
import { ClientShell } from '../../src/client.ts'
import { openable } from '../../src/indexeddb/device.ts'
import { Browser, type Tab } from '../indexeddb/pages.ts'
import { hashOf, LIMITS } from '../machine/driver.ts'
import { World } from './world.ts'

const WELCOME = { type: 'WELCOME', connectionId: 'c', heartbeatMs: 30_000, serverTime: 0, limits: LIMITS }

function open(tab: Tab, world: World): ClientShell {
  return new ClientShell({ url: 'ws://test/ws', persist: openable({ name: 'f', user: 'ada' }, tab.storages()) }, world)
}

function empty(graphId: string): object {
  const state = { nodes: [], edges: [], viewport: { x: 0, y: 0, zoom: 1 }, attributes: {} }
  return { type: 'SYNC', graphId, status: 'snapshot', version: 0, hash: hashOf(0), access: 'write', settled: [], state }
}

/** Waits for the disk, which answers in its own time. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve))
}

test.each([
  ['M5 P7 the queue of a tab that is gone is sent by another, also for a graph that nobody has open there', false],
  ['M5 P2 P7 also by a tab that proposed to be that client: what was sent is kept no more', true],
])('%s', async (_, isProposed) => {
  const browser = new Browser()
  const gone = browser.tab()
  const first = open(gone, new World())
  const { operationId, persisted } = first.graph('g').createNode({ id: 'a' })
  await persisted
  if (!isProposed) gone.kill()

  const world = new World()
  const session = isProposed ? [['dao-client:dao:f:ada', first.clientId] as const] : []
  const client = open(browser.tab(new Map(session)), world)
  const early = client.graph('other').createNode({ id: 'early' })
  await until(() => world.sockets.length === 1)
  world.socket.open()
  world.socket.say(WELCOME)
  await until(() => world.socket.types().includes('SUBSCRIBE'))
  gone.kill()
  world.socket.say(empty('other'))
  expect(world.socket.sent.at(-1)).toMatchObject({ operationId: early.operationId, clientId: client.clientId })
  const isAdopted = (): boolean =>
    world.socket.sent.some(({ type, graphId }) => type === 'SUBSCRIBE' && graphId === 'g')
  for (let seconds = 0; seconds < 5 && !isAdopted(); seconds++) {
    browser.now += 1_000
    await world.pass(1_000)
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setTimeout(resolve))
  }
  expect(isAdopted()).toBe(true)
  world.socket.say(empty('g'))
  expect(world.socket.sent.at(-1)).toMatchObject({ operationId, graphId: 'g', clientId: first.clientId })
  expect(client.clientId).not.toBe(first.clientId)

  world.socket.say({ type: 'ACK', graphId: 'g', operationId, version: 0, hash: hashOf(0), outcome: 'unchanged' })
  expect(world.socket.sent.at(-1)).toEqual({ type: 'UNSUBSCRIBE', graphId: 'g' })
  await early.persisted
  await client.close()
  const reader = await openable({ name: 'f', user: 'ada' }, browser.tab().storages(false)).open('reader')
  browser.now += 120_000
  expect(await reader.adopt()).toMatchObject([
    { graphId: 'other', operations: [{ operationId: early.operationId, clientId: client.clientId }] },
  ])
  await reader.close()
})
