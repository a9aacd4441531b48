import { describe, expect, test } from 'vitest'
import { json } from '../../src/codec.ts'
import { Connection } from '../../src/connection.ts'
import { settle, World } from './world.ts'

const WELCOME = { type: 'WELCOME', connectionId: 'c', heartbeatMs: 30_000, serverTime: 1_000_000, limits: {} }

async function start(token?: () => string | Promise<string>) {
  const world = new World()
  const log: string[] = []
  const connection = new Connection({
    url: () => 'ws://test/ws',
    token,
    codec: json,
    environment: world,
    listeners: {
      opened: () => log.push('opened'),
      closed: () => log.push('closed'),
      frame: (frame) => log.push(frame.type),
      changed: () => log.push(connection.state),
      seen: () => {},
    },
  })
  connection.start()
  await settle()
  return { world, connection, log }
}

async function open() {
  const made = await start()
  made.world.socket.open()
  made.world.socket.say(WELCOME)
  return made
}

describe('A12: the connection', () => {
  test('A12 delays double to 30 s, to 5 minutes for a hidden page, and are short again after a SYNC', async () => {
    const { world, connection } = await start()
    const delays: number[] = []
    for (let turn = 0; turn < 9; turn++) {
      world.socket.end()
      const [before, count] = [world.time, world.sockets.length]
      while (world.sockets.length === count) await world.pass(250)
      delays.push(world.time - before)
    }
    expect(delays).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000])
    world.visible = false
    world.socket.end()
    await world.pass(120_000)
    expect(world.sockets).toHaveLength(10)
    world.tell('wake')
    await settle()
    expect(world.sockets).toHaveLength(11)
    connection.proven()
    world.socket.end()
    await world.pass(500)
    expect(world.sockets).toHaveLength(12)
  })

  test('A12 what a superseded socket says is passed over', async () => {
    const { world, connection, log } = await open()
    const old = world.socket
    const { onmessage } = old
    connection.reconnect()
    await world.pass(500)
    onmessage?.({ data: JSON.stringify({ type: 'SYNC' }) })
    expect(log).not.toContain('SYNC')
    expect(old.isClosed).toBe(true)
  })

  test('A12 a dead server is one that does not answer a PING for ten seconds', async () => {
    const { world, log } = await open()
    await world.pass(15_000)
    expect(world.socket.types()).toEqual(['PING'])
    await world.pass(5_000)
    world.socket.say({ type: 'PONG', versions: {} })
    await world.pass(9_000)
    expect(log.filter((line) => line === 'closed')).toHaveLength(0)
    await world.pass(1_000 + 10_000)
    expect(log.filter((line) => line === 'closed')).toHaveLength(1)
  })

  test('A12 a dead server is noticed also where a PING is sent more often than every ten seconds', async () => {
    const { world, log } = await start()
    world.socket.open()
    world.socket.say({ ...WELCOME, heartbeatMs: 4_000 })
    for (let second = 0; second < 60; second++) {
      world.socket.say({ type: 'PONG', versions: {} })
      await world.pass(1_000)
    }
    expect(log).not.toContain('closed')
    await world.pass(22_000)
    expect(log.filter((line) => line === 'closed')).toHaveLength(1)
  })

  test('A12 a timer that comes late is no sign of a dead server', async () => {
    const { world, log } = await open()
    await world.pass(15_000)
    // The page was suspended: its timers come long after they were due.
    world.time += 60_000
    await world.pass(0)
    expect(log).not.toContain('closed')
    expect(world.socket.types()).toEqual(['PING', 'PING'])
    world.socket.say({ type: 'PONG', versions: {} })
    await world.pass(10_000)
    expect(log).not.toContain('closed')
  })

  test('A12 GOODBYE says when to come back', async () => {
    const { world } = await open()
    world.chance = 0
    world.socket.say({ type: 'GOODBYE', reconnectAfterMs: 3_000 })
    world.socket.end(1012)
    await world.pass(2_999)
    expect(world.sockets).toHaveLength(1)
    await world.pass(1)
    expect(world.sockets).toHaveLength(2)
  })

  test('A12 nothing but AUTH is sent before it is answered', async () => {
    const { world, log } = await start(() => 'proof')
    world.socket.open()
    world.socket.say(WELCOME)
    expect(world.socket.sent).toEqual([{ type: 'AUTH', token: 'proof' }])
    expect(log).not.toContain('opened')
    world.socket.say({ type: 'AUTHENTICATED', userId: 'ada', expiresAt: world.time + 10_000 })
    expect(log).toContain('opened')
    await world.pass(7_900)
    expect(world.socket.types().filter((type) => type === 'AUTH')).toHaveLength(1)
    await world.pass(100)
    expect(world.socket.types().filter((type) => type === 'AUTH')).toHaveLength(2)
    world.socket.say({ type: 'AUTHENTICATED', userId: 'ada', expiresAt: world.time + 100_000 })
    expect(log.filter((line) => line === 'opened')).toHaveLength(1)
  })

  test('A12 a token is renewed by the clock of the server, at most every five seconds, and never by a timer too long', async () => {
    const auths = (world: World): number => world.socket.types().filter((type) => type === 'AUTH').length
    const renewedAfter = async (serverTime: number, left: number): Promise<number> => {
      const { world } = await start(() => 'proof')
      const waits: number[] = []
      const { after } = World.prototype
      world.after = (ms, then) => {
        waits.push(ms)
        return after.call(world, ms, then)
      }
      world.socket.open()
      world.socket.say({ ...WELCOME, serverTime })
      await world.pass(500)
      waits.length = 0
      world.socket.say({ type: 'AUTHENTICATED', userId: 'ada', expiresAt: serverTime + 500 + left })
      const [wait = 0] = waits
      await world.pass(0)
      expect(auths(world)).toBe(1)
      return wait
    }
    expect(await renewedAfter(1_000_000, 3_600_000)).toBe(2_880_000)
    // The clock of the device is an hour ahead, or behind.
    expect(await renewedAfter(1_000_000 - 3_600_000, 60_000)).toBe(48_000)
    expect(await renewedAfter(1_000_000 + 3_600_000, 60_000)).toBe(48_000)
    expect(await renewedAfter(1_000_000, 0)).toBe(5_000)
    expect(await renewedAfter(1_000_000, 90 * 86_400_000)).toBe(2 ** 31 - 1)
  })

  test('A12 4401 asks for a fresh token at once, then waits, and says so', async () => {
    let asked = 0
    const { world, connection } = await start(() => `${asked++}`)
    world.socket.open()
    world.socket.end(4401)
    await world.pass(0)
    expect(asked).toBe(2)
    expect(connection.state).toBe('connecting')
    world.socket.end(4401)
    await world.pass(0)
    expect(connection.state).toBe('needs-auth')
    expect(asked).toBe(2)
    await world.pass(500)
    expect(asked).toBe(3)
  })

  test('A12 a connection that never opens is given up', async () => {
    const { world } = await start()
    await world.pass(20_000 + 500)
    expect(world.sockets).toHaveLength(2)
    expect(world.sockets[0]?.isClosed).toBe(true)
  })

  test('A12 a token that never comes is asked for again', async () => {
    let asked = 0
    const { world, connection } = await start(() => {
      asked += 1
      return asked === 1 ? new Promise<string>(() => {}) : 'proof'
    })
    await world.pass(19_999)
    expect([asked, world.sockets.length]).toEqual([1, 0])
    await world.pass(1 + 500)
    expect([asked, world.sockets.length]).toEqual([2, 1])
    world.socket.open()
    world.socket.say(WELCOME)
    world.socket.say({ type: 'AUTHENTICATED', userId: 'ada', expiresAt: null })
    expect(connection.state).toBe('open')
    await world.pass(10_000)
    expect(connection.state).toBe('open')
  })

  test('A13 a frozen page closes its connection, and comes back when it is seen', async () => {
    const { world, log } = await open()
    world.tell('freeze')
    expect(world.socket.isClosed).toBe(true)
    expect(log).toContain('closed')
    await world.pass(600_000)
    expect(world.sockets).toHaveLength(1)
    world.tell('wake')
    await settle()
    expect(world.sockets).toHaveLength(2)
  })
})
