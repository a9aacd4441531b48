import { describe, expect, test } from 'vitest'
import { node } from '../machine/driver.ts'
import { live, sync, WELCOME } from './live.ts'
import { settle } from './world.ts'

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
