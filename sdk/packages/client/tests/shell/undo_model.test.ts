import { beforeEach, expect, test, vi } from 'vitest'
import { hashOf, LIMITS, node, titled } from '../machine/driver.ts'
import { settle, World } from './world.ts'

const MODEL = '../../src/model/undo/decide_undo.ts'
const WELCOME = { type: 'WELCOME', connectionId: 'c', heartbeatMs: 30_000, serverTime: 0, limits: LIMITS }

// Each test has modules of its own: what one has loaded is not there for the next.
beforeEach(() => {
  vi.resetModules()
  vi.doUnmock(MODEL)
})

async function live() {
  const { ClientShell } = await import('../../src/client.ts')
  const world = new World()
  const graph = new ClientShell({ url: 'ws://test/ws' }, world).graph('g')
  await settle()
  const state = { nodes: [node('a')], edges: [], viewport: { x: 0, y: 0, zoom: 1 }, attributes: {} }
  const at = { graphId: 'g', version: 1, hash: hashOf(1) }
  world.socket.open()
  world.socket.say(WELCOME)
  world.socket.say({ type: 'SYNC', status: 'snapshot', access: 'write', settled: [], state, ...at })
  const edit = (version: number, title: string): void => {
    const { operationId } = graph.updateNode('a', { data: { title } })
    const who = { userId: 'ada', clientId: 'c', timestamp: 1, commandType: 'UPDATE_NODE', outcome: 'applied' }
    const commit = { graphId: 'g', version, hash: hashOf(version), operationId, events: [titled(title)], ...who }
    world.socket.say({ type: 'STATE_UPDATE', ...commit })
    world.socket.say({ type: 'ACK', graphId: 'g', operationId, version, hash: hashOf(version), outcome: 'applied' })
  }
  const title = (): unknown => (graph.node('a')?.data as { title?: string } | undefined)?.title
  return { world, graph, edit, title }
}

/** The file is read and run. */
const loaded = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 100))

test('U13 how undo is predicted is loaded with the first edit; an undo before that is sent, and shows then', async () => {
  const { world, graph, edit, title } = await live()
  const { isUndoKnown } = await import('../../src/undo_model.ts')
  await loaded()
  expect(isUndoKnown()).toBe(false)
  edit(2, 'mine')
  void graph.undo()
  expect(world.socket.sent.at(-1)).toMatchObject({ command: { type: 'UNDO' } })
  expect(title()).toBe('mine')
  await loaded()
  expect(isUndoKnown()).toBe(true)
  expect(title()).toBeUndefined()
  void graph.redo()
  expect(graph.history.canUndo).toBe(true)
})

test('U13 where it can not be loaded, undo shows when the server has done it, and the next edit tries again', async () => {
  let isAway = true
  const { decideUndo } = await import('../../src/model/undo/decide_undo.ts')
  vi.doMock(MODEL, () => ({
    get decideUndo() {
      if (isAway) throw new Error('no network')
      return decideUndo
    },
  }))
  const { world, graph, edit, title } = await live()
  edit(2, 'mine')
  await loaded()
  const undone = graph.undo()
  const { operationId } = world.socket.sent.at(-1) as { operationId: string }
  expect(title()).toBe('mine')
  const who = { userId: 'ada', clientId: 'c', timestamp: 1, commandType: 'UNDO', outcome: 'applied' }
  const events = [{ type: 'NodeUpdated', nodeId: 'a', patch: { data: null } }]
  const at = { graphId: 'g', version: 3, hash: hashOf(3), operationId }
  world.socket.say({ type: 'STATE_UPDATE', ...at, events, ...who })
  world.socket.say({ type: 'ACK', ...at, outcome: 'applied', result: { reverted: [], skipped: [] } })
  world.draw()
  expect(title()).toBeUndefined()
  await expect(undone).resolves.toMatchObject({ outcome: 'applied' })
  await loaded()
  isAway = false
  const { isUndoKnown } = await import('../../src/undo_model.ts')
  expect(isUndoKnown()).toBe(false)
  edit(4, 'again')
  await loaded()
  expect(isUndoKnown()).toBe(true)
  void graph.undo()
  expect(title()).toBeUndefined()
})
