import { expect, test } from 'vitest'
import { ClientShell } from '../../src/client.ts'
import type { Device, DeviceSource } from '../../src/device.ts'
import { openable } from '../../src/indexeddb/device.ts'
import { Browser, type Tab } from '../indexeddb/pages.ts'
import { hashOf, LIMITS } from '../machine/driver.ts'
import { settle, World } from './world.ts'

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

test('M3 what a tab left is sent when it is loaded again, also for a graph that nobody opens there', async () => {
  const browser = new Browser()
  const tab = browser.tab()
  const first = open(tab, new World())
  const { operationId, persisted } = first.graph('g').createNode({ id: 'a' })
  await persisted
  tab.close()

  const world = new World()
  const client = open(browser.tab(tab.session), world)
  await until(() => world.sockets.length === 1)
  expect(client.clientId).toBe(first.clientId)
  world.socket.open()
  world.socket.say(WELCOME)
  await until(() => world.socket.types().includes('SUBSCRIBE'))
  world.socket.say({ ...empty('g'), settled: [{ operationId, status: 'unknown' }] })
  expect(world.socket.sent.at(-1)).toMatchObject({ operationId, clientId: first.clientId })
  world.socket.say({ type: 'ACK', graphId: 'g', operationId, version: 0, hash: hashOf(0), outcome: 'unchanged' })
  expect(world.socket.sent.at(-1)).toEqual({ type: 'UNSUBSCRIBE', graphId: 'g' })
  await client.close()
})

test('P7 a client that is closed wakes the other tabs: they need not look by themselves', async () => {
  const browser = new Browser()
  const first = open(browser.tab(), new World())
  const { operationId, persisted } = first.graph('g').createNode({ id: 'a' })
  await persisted

  const world = new World()
  const client = open(browser.tab(), world)
  client.graph('other')
  await until(() => world.sockets.length === 1)
  world.socket.open()
  world.socket.say(WELCOME)
  await until(() => world.socket.types().includes('SUBSCRIBE'))
  await new Promise((resolve) => setTimeout(resolve, 20))
  await first.close()
  await world.pass(60)
  const asked = (): unknown[] =>
    world.socket.sent.filter(({ type }) => type === 'SUBSCRIBE').map(({ graphId }) => graphId)
  await until(() => asked().includes('g'))
  world.socket.say(empty('g'))
  expect(world.socket.sent.at(-1)).toMatchObject({ operationId, clientId: first.clientId })
  await client.close()
})

/** A client whose device looks for queues until the test says that it has looked. */
async function looking() {
  const world = new World()
  let looks = 0
  let atOnce = 0
  let most = 0
  let finish = (): void => {}
  const device: Device = {
    clientId: 'me',
    isDurable: true,
    onWake: null,
    load: () => Promise.resolve({ checkpoint: null, tail: [], operations: [], history: null }),
    write: () => Promise.resolve(),
    close: () => Promise.resolve(),
    adopt: () => {
      looks += 1
      atOnce += 1
      most = Math.max(most, atOnce)
      return new Promise((resolve) => {
        finish = () => {
          atOnce -= 1
          finish = () => {}
          resolve([])
        }
      })
    },
  }
  const persist: DeviceSource = {
    kind: 'test',
    proposeClientId: () => 'me',
    open: () => Promise.resolve(device),
    forget: () => Promise.resolve(),
  }
  const client = new ClientShell({ url: 'ws://test/ws', persist }, world)
  await settle()
  return {
    client,
    wake: (afterMs: number): void => device.onWake?.(afterMs),
    looks: (): number => looks,
    most: (): number => most,
    async pass(ms: number): Promise<void> {
      await world.pass(ms)
    },
    async end(): Promise<void> {
      finish()
      await settle()
    },
  }
}

test('P7 a tab that is woken during a look looks again when it was told to, one look at a time', async () => {
  const { client, wake, looks, most, pass, end } = await looking()
  expect(looks()).toBe(1)
  wake(50)
  await pass(100)
  expect(looks()).toBe(1)
  await end()
  await pass(0)
  expect(looks()).toBe(2)
  await end()
  // Woken for later than the look that is due, it looks twice.
  await pass(1_000)
  wake(1_550)
  await pass(1_000)
  expect(looks()).toBe(3)
  await end()
  await pass(550)
  expect(looks()).toBe(4)
  await end()
  expect(most()).toBe(1)
  await client.close()
  await pass(10_000)
  expect(looks()).toBe(4)
})

test('P7 tabs that come and go do not keep a tab from looking', async () => {
  const { client, wake, looks, pass, end } = await looking()
  await end()
  for (let time = 0; time < 30_000; time += 50) {
    if (time % 1_500 === 0) wake(1_550)
    await pass(50)
    await end()
  }
  expect(looks()).toBeGreaterThan(15)
  await client.close()
})
