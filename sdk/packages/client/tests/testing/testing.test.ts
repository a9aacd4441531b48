import { afterEach, describe, expect, test } from 'vitest'
import type { Client } from '../../src/index.ts'
import { testServer } from '../../src/testing.ts'

const clients: Client[] = []

afterEach(async () => {
  for (const client of clients.splice(0)) await client.close()
})

async function two() {
  const server = testServer()
  const [one, other] = [server.client('ada'), server.client('bob')]
  clients.push(one, other)
  const [ada, bob] = [one.graph('g'), other.graph('g')]
  await Promise.all([ada.ready, bob.ready])
  return { server, ada, bob }
}

describe('the server in memory', () => {
  test('what one does, the other sees', async () => {
    const { server, ada, bob } = await two()
    ada.createNode({ id: 'a', data: { label: 'x' } })
    await server.quiet()
    expect(bob.node('a')).toEqual({ id: 'a', position: { x: 0, y: 0 }, data: { label: 'x' } })
    expect(server.state('g')).toMatchObject({ version: 1, nodes: [{ id: 'a', version: 1 }] })
    expect(ada.status).toMatchObject({ connection: 'live', pending: 0 })
  })

  test('what is edited during a cut conflicts as it would in life', async () => {
    const { server, ada, bob } = await two()
    ada.createNode({ id: 'a', data: { label: 'x' } })
    await server.quiet()
    server.cut()
    await server.quiet()
    expect(ada.status.connection).toBe('offline')
    const mine = ada.updateNode('a', { data: { label: 'ada' } })
    const theirs = bob.updateNode('a', { data: { label: 'bob' } })
    server.restore()
    const outcomes = await Promise.allSettled([mine.settled, theirs.settled])
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    const refused = outcomes.find((outcome) => outcome.status === 'rejected') as PromiseRejectedResult
    expect(refused.reason).toMatchObject({ code: 'CONFLICT', conflicts: [{ id: 'a', path: '/data/label' }] })
  })

  test('a busy server is asked again', async () => {
    const { server, ada } = await two()
    server.refuseForNow(1)
    await expect(ada.createNode({ id: 'a' }).settled).resolves.toMatchObject({ outcome: 'applied' })
  })

  test('a replaced history is told', async () => {
    const { server, ada } = await two()
    ada.createNode({ id: 'a' })
    ada.createNode({ id: 'b' })
    await server.quiet()
    const replaced: unknown[] = []
    ada.on('replaced', (value) => replaced.push(value))
    server.replaceHistory('g', 1)
    await server.quiet()
    expect(replaced).toHaveLength(1)
    expect(ada.getSnapshot().nodes.map(({ id }) => id)).toEqual(['a'])
    expect(ada.history.canUndo).toBe(false)
  })

  test('presence comes to who is there, and to who comes later', async () => {
    const { server, ada, bob } = await two()
    ada.presence.set({ name: 'Ada' })
    await server.quiet()
    expect(bob.others).toEqual([{ clientId: ada.clientId, userId: 'ada', slots: { '': { name: 'Ada' } } }])
    const late = server.client('eve')
    clients.push(late)
    const eve = late.graph('g')
    await eve.ready
    await server.quiet()
    expect(eve.others).toHaveLength(1)
    await clients[0]?.close()
    await server.quiet()
    expect(bob.others).toEqual([])
  })

  test('undo and redo', async () => {
    const { server, ada, bob } = await two()
    ada.batch('Two', (batch) => {
      batch.createNode({ id: 'a' })
      batch.createNode({ id: 'b' })
    })
    await server.quiet()
    await ada.undo()
    await server.quiet()
    expect(bob.getSnapshot().nodes).toEqual([])
    await ada.redo()
    await server.quiet()
    expect(bob.getSnapshot().nodes.map(({ id }) => id)).toEqual(['a', 'b'])
  })
})
