import { describe, expect, test } from 'vitest'
import { node } from '../machine/driver.ts'
import { live, sync, WELCOME } from './live.ts'
import { settle } from './world.ts'

describe('refusals', () => {
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
})
