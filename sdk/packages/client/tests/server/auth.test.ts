import { createHmac } from 'node:crypto'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { ClientShell } from '../../src/client.ts'
import { surroundings } from '../../src/environment.ts'
import type { Graph } from '../../src/index.ts'
import { Mortal } from './mortal.ts'
import { Server } from './server.ts'

const SECRET = 'a secret of at least thirty-two bytes, for tests'
const server = new Server({ JWT_SECRET: SECRET })
let clients: ClientShell[] = []

beforeAll(() => server.start())
afterAll(() => server.end())
afterEach(async () => {
  await Promise.all(clients.map((client) => client.close()))
  clients = []
})

/** A token of Ada for some seconds. */
function token(seconds: number, graphs: Record<string, string> = { '*': 'write' }): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const exp = Math.floor(Date.now() / 1000) + seconds
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ sub: 'ada', exp, graphs })}`
  return `${signed}.${createHmac('sha256', SECRET).update(signed).digest('base64url')}`
}

function connect(give: () => string | Promise<string>): Graph {
  const client = new ClientShell({ url: `ws://127.0.0.1:${server.port}/ws`, token: give }, new Mortal(() => 0.5))
  clients.push(client)
  return client.graph('auth')
}

function until(graph: Graph, holds: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const check = (): void => {
      if (!holds()) return
      stop()
      resolve()
    }
    const stop = graph.subscribeStatus(check)
    check()
  })
}

test('A12 the token is asked for before AUTH, and renewed before it expires', async () => {
  let renewed: () => void = () => {}
  const isRenewed = new Promise<void>((resolve) => {
    renewed = resolve
  })
  let asked = 0
  const give = (): string => {
    asked += 1
    if (asked === 2) renewed()
    return token(asked === 1 ? 2 : 3_600)
  }
  const client = new ClientShell({ url: `ws://127.0.0.1:${server.port}/ws`, token: give }, surroundings())
  clients.push(client)
  const graph = client.graph('auth')
  await graph.ready
  expect(graph.status).toMatchObject({ connection: 'live', access: 'write' })
  const states: string[] = []
  graph.subscribeStatus(() => states.push(graph.status.connection))
  await isRenewed
  await expect(graph.createNode({}).settled).resolves.toMatchObject({ outcome: 'applied' })
  expect(asked).toBe(2)
  expect(new Set(states)).toEqual(new Set(['live']))
})

test('A12 a token that can not be got is a reason to wait, never an end', async () => {
  let asked = 0
  const graph = connect(async () => {
    asked += 1
    if (asked < 4) throw new Error('the network is away')
    return token(60)
  })
  await graph.ready
  expect(asked).toBe(4)
})

test('A12 a bad token is replaced at once; when that is bad too it is said, and a good one helps', async () => {
  let good = false
  const graph = connect(() => (good ? token(60) : 'bad'))
  await until(graph, () => graph.status.connection === 'needs-auth')
  good = true
  await until(graph, () => graph.status.connection === 'live')
})

test('A12 rights that are missing are said, and what was written is refused with a reason', async () => {
  const reader = connect(() => token(60, { '*': 'read' }))
  await until(reader, () => reader.status.access === 'read')
  await expect(reader.createNode({}).settled).rejects.toMatchObject({ code: 'FORBIDDEN' })
  const stranger = connect(() => token(60, { other: 'read' }))
  await until(stranger, () => stranger.status.connection === 'closed')
  expect(stranger.getSnapshot().ready).toBe(false)
})
