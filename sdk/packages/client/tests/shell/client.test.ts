import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../src/api.ts'
import { ClientShell } from '../../src/client.ts'
import { openable } from '../../src/indexeddb/device.ts'
import { Browser } from '../indexeddb/pages.ts'
import { hashOf, LIMITS, node, titled } from '../machine/driver.ts'
import { settle, World } from './world.ts'

const WELCOME = { type: 'WELCOME', connectionId: 'c', heartbeatMs: 30_000, serverTime: 0, limits: LIMITS }

function sync(version: number, nodes: JsonObject[], more: object = {}): object {
  const state = { nodes, edges: [], viewport: { x: 0, y: 0, zoom: 1 }, attributes: {} }
  return {
    type: 'SYNC',
    graphId: 'g',
    status: 'snapshot',
    version,
    hash: hashOf(version),
    access: 'write',
    settled: [],
    state,
    ...more,
  }
}

function commit(version: number, operationId: string, title: string): object {
  const who = { userId: 'bob', clientId: 'b', timestamp: 1, commandType: 'UPDATE_NODE', outcome: 'applied' }
  return {
    type: 'STATE_UPDATE',
    graphId: 'g',
    version,
    hash: hashOf(version),
    operationId,
    events: [titled(title)],
    ...who,
  }
}

async function live(world = new World()) {
  const client = new ClientShell({ url: 'ws://test/ws?userId=ada' }, world)
  const graph = client.graph('g')
  await settle()
  world.socket.open()
  world.socket.say(WELCOME)
  world.socket.say(sync(1, [node('a')]))
  world.draw()
  return { world, client, graph }
}

const title = (graph: { node(id: string): unknown }): unknown =>
  (graph.node('a') as { data?: { title?: string } })?.data?.title

describe('the client', () => {
  test('the query of the address is kept, and says which client it is', async () => {
    const { world, client } = await live()
    expect(world.urls).toEqual([`ws://test/ws?userId=ada&clientId=${client.clientId}`])
  })

  test('M10 an edit shows before the call returns; what others do shows once a frame', async () => {
    const { world, graph } = await live()
    let told = 0
    graph.subscribe(() => {
      told += 1
    })
    graph.updateNode('a', { data: { title: 'mine' } })
    expect(title(graph)).toBe('mine')
    expect(told).toBe(1)
    for (let version = 2; version < 100; version++) world.socket.say(commit(version, 'x', `${version}`))
    expect(told).toBe(1)
    graph.moveNode('a', { x: 1, y: 1 })
    expect(told).toBe(2)
    world.draw()
    expect(told).toBe(2)
    world.socket.say(commit(100, 'x', 'more'))
    world.draw()
    // What is shown is the pending title: nothing changed.
    expect(told).toBe(2)
  })

  test('M6 an edit is made on what is shown, not on what arrived since', async () => {
    const { world, graph } = await live()
    world.socket.say(commit(2, 'x', 'unseen'))
    expect(title(graph)).toBeUndefined()
    graph.updateNode('a', { data: { title: 'mine' } })
    expect(world.socket.sent.at(-1)).toMatchObject({ type: 'COMMAND', clientVersion: 1 })
  })

  test('status is one object while nothing changed, and says what is pending', async () => {
    const { world, graph } = await live()
    const before = graph.status
    expect(before).toEqual({
      connection: 'live',
      pending: 0,
      persisted: true,
      access: 'write',
      point: { version: 1, hash: hashOf(1) },
    })
    expect(graph.status).toBe(before)
    graph.moveNode('a', { x: 1, y: 1 })
    expect(graph.status).toMatchObject({ pending: 1, persisted: false })
    world.socket.end()
    expect(graph.status.connection).toBe('offline')
  })

  test('A14 the page is held only while something would be lost with it', async () => {
    const { world, graph } = await live()
    expect(world.holds).toBe(0)
    const { operationId } = graph.moveNode('a', { x: 1, y: 1 })
    expect(world.holds).toBe(1)
    world.socket.say({ type: 'ACK', graphId: 'g', operationId, version: 1, hash: hashOf(1), outcome: 'unchanged' })
    expect(world.holds).toBe(0)
  })

  test('A14 with a device nothing is lost, and the page is not held', async () => {
    const world = new World()
    const persist = openable({ name: 'flows', user: 'ada' }, new Browser().tab().storages())
    const client = new ClientShell({ url: 'ws://test/ws', persist }, world)
    const graph = client.graph('g')
    const sent = graph.createNode({ id: 'a' })
    expect(graph.status).toMatchObject({ connection: 'connecting', pending: 1, persisted: false })
    await sent.persisted
    expect(graph.status.persisted).toBe(true)
    expect(world.holds).toBe(0)
    await client.close()
  })

  test('P1 an edit that the server has is persisted, even if the device is slower', async () => {
    const world = new World()
    const stored = { checkpoint: null, tail: [], operations: [], history: null }
    const device = {
      clientId: 'c',
      isDurable: true,
      load: () => Promise.resolve(stored),
      write: () => new Promise<never>(() => {}),
      adopt: () => Promise.resolve([]),
      close: () => Promise.resolve(),
    }
    const persist = { kind: 'slow', proposeClientId: () => 'c', open: () => Promise.resolve(device) }
    const client = new ClientShell({ url: 'ws://test/ws', persist }, world)
    const sent = client.graph('g').createNode({ id: 'b' })
    let isPersisted = false
    void sent.persisted.then(() => {
      isPersisted = true
    })
    await settle()
    world.socket.open()
    world.socket.say(WELCOME)
    world.socket.say(sync(1, [node('a')]))
    await settle()
    expect(isPersisted).toBe(false)
    const { operationId } = sent
    world.socket.say({ type: 'ACK', graphId: 'g', operationId, version: 1, hash: hashOf(1), outcome: 'unchanged' })
    await settle()
    expect(isPersisted).toBe(true)
  })

  test('P5 a device that never opens keeps nobody from working: all is in memory, and that is said', async () => {
    const world = new World()
    const persist = { kind: 'broken', proposeClientId: () => null, open: () => new Promise<never>(() => {}) }
    const client = new ClientShell({ url: 'ws://test/ws', persist }, world)
    const graph = client.graph('g')
    graph.createNode({ id: 'a' })
    await world.pass(9_999)
    expect(world.sockets).toHaveLength(0)
    await world.pass(1)
    expect(world.sockets).toHaveLength(1)
    world.socket.open()
    world.socket.say(WELCOME)
    world.socket.say(sync(0, []))
    expect(world.socket.types()).toEqual(['SUBSCRIBE', 'COMMAND'])
    expect(graph.status).toMatchObject({ pending: 1, persisted: false })
  })

  test('P5 P7 where no device opens, the client is not one that another tab may be', async () => {
    const world = new World()
    const persist = { kind: 'broken', proposeClientId: () => 'taken', open: () => Promise.reject(new Error('no')) }
    const client = new ClientShell({ url: 'ws://test/ws', persist }, world)
    client.graph('g').createNode({ id: 'a' })
    await settle()
    world.socket.open()
    world.socket.say(WELCOME)
    world.socket.say(sync(0, []))
    expect(client.clientId).not.toBe('taken')
    expect(world.urls).toEqual([`ws://test/ws?clientId=${client.clientId}`])
    expect(world.socket.sent.at(-1)).toMatchObject({ type: 'COMMAND', clientId: client.clientId })
  })

  test('P6 signing out deletes what is kept, also where the device did not open in time', async () => {
    const browser = new Browser()
    const before = await browser.tab().open('before')
    const source = openable({ name: 'flows', user: 'ada' }, browser.tab().storages())
    const persist = { ...source, open: () => new Promise<never>(() => {}) }
    const world = new World()
    const client = new ClientShell({ url: 'ws://test/ws', persist }, world)
    await world.pass(10_000)
    expect(await browser.factory.databases()).toHaveLength(1)
    await client.forget()
    expect(await browser.factory.databases()).toEqual([])
    await before.close()
  })

  test('P4 it paints from the device without a network, with what was edited offline', async () => {
    const browser = new Browser()
    const tab = browser.tab()
    const world = new World()
    const client = new ClientShell(
      { url: 'ws://test/ws', persist: openable({ name: 'f', user: 'ada' }, tab.storages()) },
      world,
    )
    const graph = client.graph('g')
    while (world.sockets.length === 0) await new Promise((resolve) => setTimeout(resolve))
    world.socket.open()
    world.socket.say(WELCOME)
    await graph.updateNode('a', { data: { title: 'early' } }).persisted
    world.socket.say(sync(1, [node('a')]))
    world.socket.end()
    await graph.moveNode('a', { x: 7, y: 7 }).persisted
    tab.close()
    await client.close()

    const again = new ClientShell(
      { url: 'ws://test/ws', persist: openable({ name: 'f', user: 'ada' }, browser.tab(tab.session).storages()) },
      new World(),
    )
    const loaded = again.graph('g')
    await new Promise<void>((resolve) => {
      const stop = loaded.subscribeStatus(() => {
        if (loaded.status.pending < 2) return
        stop()
        resolve()
      })
    })
    expect(again.clientId).toBe(client.clientId)
    expect((loaded as unknown as { machine: { picture(): unknown } }).machine.picture()).toMatchObject({
      ready: true,
      nodes: [{ id: 'a', position: { x: 7, y: 7 }, data: { title: 'early' } }],
    })
    await again.close()
  })

  test('a graph that is closed is followed until its queue is empty', async () => {
    const { world, client, graph } = await live()
    const sent = graph.moveNode('a', { x: 1, y: 1 })
    graph.close()
    expect(client.graph('g')).toBe(graph)
    graph.close()
    const { operationId } = sent
    world.socket.say({ type: 'ACK', graphId: 'g', operationId, version: 1, hash: hashOf(1), outcome: 'unchanged' })
    await expect(sent.settled).resolves.toMatchObject({ outcome: 'unchanged' })
    expect(world.socket.sent.at(-1)).toEqual({ type: 'UNSUBSCRIBE', graphId: 'g' })
    // Nobody would send it.
    expect(() => graph.createNode({})).toThrow('closed')
    expect(client.graph('g')).not.toBe(graph)
    expect(world.socket.sent.at(-1)).toEqual({ type: 'UNSUBSCRIBE', graphId: 'g' })
    await settle()
    expect(world.socket.sent.at(-1)).toEqual({ type: 'SUBSCRIBE', graphId: 'g' })
  })

  test('M2 a graph that is closed is followed until an undo is answered: its commit does not say what it did', async () => {
    const { world, graph } = await live()
    const made = graph.moveNode('a', { x: 1, y: 1 })
    world.socket.say({ ...commit(2, made.operationId, ''), events: [] })
    const undone = graph.undo()
    const { operationId } = world.socket.sent.at(-1) as { operationId: string }
    graph.close()
    world.socket.say({ ...commit(3, operationId, ''), events: [] })
    expect(graph.status.pending).toBe(0)
    expect(world.socket.types()).not.toContain('UNSUBSCRIBE')
    const result = { reverted: [], skipped: [] }
    const ack = { type: 'ACK', graphId: 'g', operationId, version: 3, hash: hashOf(3), outcome: 'applied', result }
    world.socket.say(ack)
    await expect(undone).resolves.toMatchObject({ outcome: 'applied' })
    expect(world.socket.sent.at(-1)).toEqual({ type: 'UNSUBSCRIBE', graphId: 'g' })
  })

  test('a graph that ends while it waits to be followed is not followed later', async () => {
    const { world, graph } = await live()
    const { operationId } = graph.moveNode('a', { x: 1, y: 1 })
    world.socket.end()
    await world.pass(500)
    world.socket.open()
    world.socket.say(WELCOME)
    world.socket.say({ type: 'ERROR', graphId: 'g', code: 'STORE_UNAVAILABLE', message: 'away' })
    graph.close()
    const ack = { type: 'ACK', graphId: 'g', operationId, version: 1, hash: hashOf(1), outcome: 'unchanged' }
    world.socket.say(ack)
    expect(world.socket.types().at(-1)).toBe('UNSUBSCRIBE')
    await world.pass(5_000)
    expect(world.socket.types().at(-1)).toBe('UNSUBSCRIBE')
  })

  test('a graph is followed until everyone who asked for it has closed it', async () => {
    const { world, client, graph } = await live()
    expect(client.graph('g')).toBe(graph)
    graph.close()
    expect(graph.status.connection).toBe('live')
    expect(world.socket.sent).not.toContainEqual({ type: 'UNSUBSCRIBE', graphId: 'g' })
    graph.close()
    expect(graph.status.connection).toBe('closed')
    expect(world.socket.sent.at(-1)).toEqual({ type: 'UNSUBSCRIBE', graphId: 'g' })
    // Closed once too often: the graph that the client made since is another one.
    const next = client.graph('g')
    graph.close()
    expect(next.status.connection).not.toBe('closed')
  })

  test('M2 a graph that is closed takes no edit back, and sends none again: nothing is lost in silence', async () => {
    const { world, client, graph } = await live()
    const sent = graph.moveNode('a', { x: 1, y: 1 })
    const revert = { type: 'REVERT', graphId: 'g', message: 'no', temporary: false, version: 1 }
    const { operationId } = graph.moveNode('a', { x: 2, y: 2 })
    world.socket.say({ ...commit(2, operationId, ''), events: [] })
    world.socket.say({ ...revert, operationId: sent.operationId, code: 'CONFLICT' })
    const refusal = (await sent.settled.catch((error: unknown) => error)) as { retry(): unknown }
    expect(graph.history.canUndo).toBe(true)
    graph.close()
    expect(graph.status.connection).toBe('closed')
    expect(graph.undo()).toBeNull()
    expect(graph.redo()).toBeNull()
    for (let turn = 0; turn < 2; turn++) expect(() => refusal.retry()).toThrow('closed')
    expect(graph.status.pending).toBe(0)
    expect(client.graph('g').status.connection).not.toBe('closed')
  })

  test('A12 a graph that stays behind what a PONG says is followed anew', async () => {
    const { world } = await live()
    world.socket.say({ type: 'PONG', versions: { g: 3 } })
    world.time += 6_000
    world.socket.say({ type: 'PONG', versions: { g: 3 } })
    await world.pass(500)
    expect(world.sockets).toHaveLength(2)
  })

  test('M2 a refusal can be tried again, with what was refused because of it', async () => {
    const { world, graph } = await live()
    world.socket.end()
    const first = graph.createNode({ id: 'b' })
    const second = graph.updateNode('b', { data: { title: 'x' } })
    await world.pass(500)
    world.socket.open()
    world.socket.say(WELCOME)
    world.socket.say(sync(1, [node('a')], { status: 'in_sync', state: undefined }))
    const revert = { type: 'REVERT', graphId: 'g', message: 'no', temporary: false, version: 1 }
    world.socket.say({ ...revert, operationId: first.operationId, code: 'ID_TAKEN' })
    world.socket.say({ ...revert, operationId: second.operationId, code: 'DEPENDENCY_REFUSED' })
    const refusal = (await first.settled.catch((error: unknown) => error)) as { retry(): unknown; cause?: string }
    await expect(second.settled).rejects.toMatchObject({ cause: first.operationId })
    const before = world.socket.sent.length
    expect(refusal.retry()).not.toBeNull()
    expect(world.socket.sent.slice(before)).toMatchObject([
      { command: { type: 'CREATE_NODE' } },
      { command: { type: 'UPDATE_NODE' } },
    ])
    expect(refusal.retry()).toBeNull()
  })

  test('M2 what is refused because of a refusal that was tried again at once is tried again, too', async () => {
    const { world, graph } = await live()
    const told: unknown[] = []
    graph.on('refused', (refusal) => {
      told.push([refusal.operationId, refusal.cause])
      if (refusal.cause === undefined) refusal.retry('overwrite')
    })
    const b = graph.createNode({ id: 'b' })
    const titled = graph.updateNode('b', { data: { title: 'x' } })
    const c = graph.createNode({ id: 'c' })
    // It builds on two that have not ended, so it is not sent.
    const edge = graph.createEdge({ source: 'b', target: 'c' })
    expect(world.socket.sent.at(-1)).toMatchObject({ operationId: c.operationId })
    world.socket.sent.length = 0
    const revert = { type: 'REVERT', graphId: 'g', message: 'no', temporary: false, version: 1 }
    world.socket.say({ ...revert, operationId: b.operationId, code: 'ID_TAKEN' })
    world.socket.say({ ...revert, operationId: titled.operationId, code: 'DEPENDENCY_REFUSED' })
    expect(told).toEqual([
      [b.operationId, undefined],
      [edge.operationId, b.operationId],
      [titled.operationId, b.operationId],
    ])
    const [again] = world.socket.sent
    expect(again).toMatchObject({ onConflict: 'overwrite', command: { type: 'CREATE_NODE' } })
    expect(again).not.toHaveProperty('after')
    expect(world.socket.sent.at(-1)).toMatchObject({
      ...{ onConflict: 'overwrite', command: { type: 'UPDATE_NODE' } },
      after: again?.operationId,
    })
    expect(graph.status.pending).toBe(4)
    expect(graph.edge(edge.id)).toBeDefined()
    expect(graph.node('b')).toMatchObject({ data: { title: 'x' } })
  })

  test('M2 the last refusal of a graph that is closed can be tried again by who listens', async () => {
    const { world, graph } = await live()
    graph.on('refused', (refusal) => void refusal.retry('overwrite'))
    const { operationId } = graph.moveNode('a', { x: 1, y: 1 })
    graph.close()
    const revert = { type: 'REVERT', graphId: 'g', message: 'no', temporary: false, version: 1, code: 'CONFLICT' }
    world.socket.say({ ...revert, operationId })
    expect(world.socket.sent.at(-1)).toMatchObject({ type: 'COMMAND', onConflict: 'overwrite' })
    expect(graph.status).toMatchObject({ connection: 'live', pending: 1 })
  })

  test('M2 a refusal that nobody listened for is told to the next who does, if it was not dealt with', async () => {
    const { world, client, graph } = await live()
    const revert = { type: 'REVERT', graphId: 'g', message: 'no', temporary: false, version: 1, code: 'FORBIDDEN' }
    const stop = graph.on('refused', () => {})
    stop()
    const [lost, known] = [graph.moveNode('a', { x: 1, y: 1 }), graph.moveNode('a', { x: 2, y: 2 })]
    graph.close()
    for (const { operationId } of [lost, known]) world.socket.say({ ...revert, operationId })
    const refusal = (await known.settled.catch((error: unknown) => error)) as { discard(): void }
    refusal.discard()
    expect(graph.status.connection).toBe('closed')
    const next = client.graph('g')
    expect(next).not.toBe(graph)
    const told: unknown[] = []
    next.on('refused', (refusal) => told.push([refusal.operationId, refusal.code, refusal.retry() === null]))
    next.on('refused', () => {})
    expect(told).toEqual([])
    await settle()
    expect(told).toEqual([[lost.operationId, 'FORBIDDEN', false]])
    next.on('refused', () => told.push('again'))
    await settle()
    expect(told).toHaveLength(1)
  })

  test('a listener that throws stops nobody else', async () => {
    const { graph } = await live()
    let told = 0
    const thrown: unknown[] = []
    const catcher = (error: unknown): void => void thrown.push(error)
    process.once('uncaughtException', catcher)
    graph.subscribe(() => {
      throw new Error('mine')
    })
    graph.subscribe(() => {
      told += 1
    })
    graph.moveNode('a', { x: 3, y: 3 })
    expect(told).toBe(1)
    await new Promise((resolve) => setTimeout(resolve))
    process.off('uncaughtException', catcher)
    expect(thrown).toHaveLength(1)
  })
})

describe('A15: presence', () => {
  test('A15 the first is sent at once, then the latest of each slot at most 30 times a second', async () => {
    const { world, graph } = await live()
    const shown = (): unknown[] =>
      world.socket.sent.flatMap((frame) => (frame.type === 'PRESENCE' ? [frame.state] : []))
    for (let x = 0; x < 10; x++) graph.presence.set({ x }, 'cursor')
    graph.presence.set({ name: 'Ada' })
    expect(shown()).toEqual([{ x: 0 }, { name: 'Ada' }])
    await world.pass(34)
    expect(shown()).toEqual([{ x: 0 }, { name: 'Ada' }, { x: 9 }])
    await world.pass(34)
    expect(shown()).toHaveLength(3)
    graph.presence.set(null, 'cursor')
    expect(shown().at(-1)).toBeNull()
    // The caller may have one object, and change it.
    const at = { x: 10 }
    await world.pass(34)
    graph.presence.set(at, 'cursor')
    at.x = 11
    await world.pass(34)
    graph.presence.set(at, 'cursor')
    expect(shown().slice(-2)).toEqual([{ x: 10 }, { x: 11 }])
  })

  test('A15 after a reconnect it is sent again; others are those of this connection', async () => {
    const { world, graph } = await live()
    graph.presence.set({ name: 'Ada' })
    world.socket.say({ type: 'PRESENCE', graphId: 'g', clientId: 'b', userId: 'bob', state: { name: 'Bob' } })
    const others = graph.others
    expect(others).toEqual([{ clientId: 'b', userId: 'bob', slots: { '': { name: 'Bob' } } }])
    expect(graph.others).toBe(others)
    world.socket.end()
    expect(graph.others).toEqual([])
    await world.pass(500)
    world.socket.open()
    world.socket.say(WELCOME)
    world.socket.say(sync(1, [], { status: 'in_sync', state: undefined }))
    expect(world.socket.sent.at(-1)).toMatchObject({ type: 'PRESENCE', state: { name: 'Ada' } })
  })

  test('A15 after a refusal to follow it is sent again; nobody is there meanwhile, and nothing is sent', async () => {
    const { world, client, graph } = await live()
    graph.presence.set({ name: 'Ada' })
    world.socket.say({ type: 'PRESENCE', graphId: 'g', clientId: 'b', userId: 'bob', state: { name: 'Bob' } })
    world.socket.say({ type: 'ERROR', graphId: 'g', code: 'FORBIDDEN', message: 'no' })
    expect(graph.others).toEqual([])
    const before = world.socket.sent.length
    await world.pass(34)
    graph.presence.set({ name: 'Eve' })
    expect(world.socket.sent).toHaveLength(before)
    client.graph('g')
    await settle()
    world.socket.say(sync(1, [node('a')]))
    expect(world.socket.sent.at(-1)).toMatchObject({ type: 'PRESENCE', state: { name: 'Eve' } })
  })

  test('A15 a graph that is closed shows nothing, and does again if it is asked for before its queue is empty', async () => {
    const { world, client, graph } = await live()
    graph.presence.set({ name: 'Ada' })
    world.socket.say({ type: 'PRESENCE', graphId: 'g', clientId: 'b', userId: 'bob', state: { name: 'Bob' } })
    graph.moveNode('a', { x: 1, y: 1 })
    graph.close()
    await world.pass(34)
    expect(world.socket.sent.at(-1)).toMatchObject({ type: 'PRESENCE', state: null })
    expect(client.graph('g')).toBe(graph)
    await world.pass(34)
    graph.presence.set({ name: 'Ada' })
    expect(world.socket.sent.at(-1)).toMatchObject({ type: 'PRESENCE', state: { name: 'Ada' } })
    expect(graph.others).toHaveLength(1)
  })

  test('A13 a hidden page shows nothing new until it is seen', async () => {
    const { world, graph } = await live()
    world.visible = false
    graph.presence.set({ x: 1 }, 'cursor')
    expect(world.socket.types()).not.toContain('PRESENCE')
    world.visible = true
    world.tell('wake')
    expect(world.socket.types()).toContain('PRESENCE')
  })
})
