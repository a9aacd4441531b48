/** A client that follows the graph `g` with the node `a`, and the frames for it. */

import type { JsonObject } from '../../src/api.ts'
import { ClientShell } from '../../src/client.ts'
import { hashOf, LIMITS, node, titled } from '../machine/driver.ts'
import { settle, World } from './world.ts'

export const WELCOME: JsonObject = {
  type: 'WELCOME',
  connectionId: 'c',
  heartbeatMs: 30_000,
  serverTime: 0,
  limits: LIMITS,
}

export function sync(version: number, nodes: JsonObject[], more: object = {}): object {
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

export function commit(version: number, operationId: string, title: string): object {
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

export async function live(
  world: World = new World(),
): Promise<{ world: World; client: ClientShell; graph: ReturnType<ClientShell['graph']> }> {
  const client = new ClientShell({ url: 'ws://test/ws?userId=ada' }, world)
  const graph = client.graph('g')
  await settle()
  world.socket.open()
  world.socket.say(WELCOME)
  world.socket.say(sync(1, [node('a')]))
  world.draw()
  return { world, client, graph }
}

export const title = (graph: { node(id: string): unknown }): unknown =>
  (graph.node('a') as { data?: { title?: string } })?.data?.title
