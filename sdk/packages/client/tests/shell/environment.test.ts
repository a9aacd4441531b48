// @vitest-environment jsdom
import { expect, test, vi } from 'vitest'
import { ClientShell, createClient } from '../../src/client.ts'
import { surroundings } from '../../src/environment.ts'
import { LIMITS } from '../machine/driver.ts'
import { FakeSocket, settle } from './world.ts'

function go(name: 'pagehide' | 'pageshow', persisted: boolean): void {
  dispatchEvent(new PageTransitionEvent(name, { persisted }))
}

async function open() {
  const sockets: FakeSocket[] = []
  const connect = (): FakeSocket => {
    const socket = new FakeSocket()
    sockets.push(socket)
    return socket
  }
  const client = new ClientShell({ url: 'ws://test/ws' }, { ...surroundings(), connect })
  const graph = client.graph('g')
  await settle()
  const welcome = (socket: FakeSocket | undefined): void => {
    socket?.open()
    socket?.say({ type: 'WELCOME', connectionId: 'c', heartbeatMs: 30_000, serverTime: Date.now(), limits: LIMITS })
  }
  welcome(sockets[0])
  expect(sockets[0]?.types()).toEqual(['SUBSCRIBE'])
  return { client, graph, sockets, welcome }
}

test('A12 A13 a page that is kept to go back to closes its connection, and opens one when it is shown again', async () => {
  const { client, graph, sockets, welcome } = await open()
  go('pagehide', true)
  expect(sockets[0]?.isClosed).toBe(true)
  expect(graph.status.connection).not.toBe('live')
  go('pageshow', true)
  await settle()
  expect(sockets).toHaveLength(2)
  welcome(sockets[1])
  expect(sockets[1]?.types()).toEqual(['SUBSCRIBE'])
  await client.close()
  go('pageshow', true)
  await settle()
  expect(sockets).toHaveLength(2)
})

test('A13 a page that is left for good sends to the end: its connection stays open', async () => {
  const { client, sockets } = await open()
  go('pagehide', false)
  expect(sockets[0]?.isClosed).toBe(false)
  go('pageshow', false)
  await settle()
  expect(sockets).toHaveLength(1)
  await client.close()
})

test('A12 the class of WebSockets can be given; without any, the console says so once', async () => {
  vi.stubGlobal('WebSocket', undefined)
  const said = vi.spyOn(console, 'error').mockImplementation(() => {})
  const opened: unknown[] = []
  class Given extends FakeSocket {
    constructor(...how: unknown[]) {
      super()
      opened.push(how)
    }
  }
  const client = createClient({ url: 'ws://test/ws', WebSocket: Given })
  client.graph('g')
  await settle()
  expect(opened).toEqual([[expect.stringContaining('ws://test/ws'), [expect.any(String)]]])
  expect(said).not.toHaveBeenCalled()
  await client.close()
  const without = createClient({ url: 'ws://test/ws' })
  without.graph('g')
  await settle()
  expect(said).toHaveBeenCalledWith(expect.stringContaining('createClient({ WebSocket'))
  await without.close()
  said.mockClear()
  const here = surroundings()
  for (let attempt = 0; attempt < 3; attempt++) {
    expect(() => here.connect('ws://test/ws', 'p')).toThrow('createClient({ WebSocket')
  }
  expect(said).toHaveBeenCalledTimes(1)
  said.mockRestore()
  vi.unstubAllGlobals()
})
