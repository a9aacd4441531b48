import { describe, expect, test } from 'vitest'
import { ClientShell } from '../../src/client.ts'
import { openable } from '../../src/indexeddb/device.ts'
import { Browser } from '../indexeddb/pages.ts'
import { hashOf, node } from '../machine/driver.ts'
import { commit, live, sync, title, WELCOME } from './live.ts'
import { settle, World } from './world.ts'

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
