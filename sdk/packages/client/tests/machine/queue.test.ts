import { describe, expect, test } from 'vitest'
import { Driver, hashOf, node, titled } from './driver.ts'

const ids = (driver: Driver): unknown[] => driver.sent.map((frame) => frame.operationId ?? frame.batchId)

describe('A3: pending commands on top', () => {
  test('A3 a command that fails on what others did adds nothing, and comes back when it fits again', () => {
    const driver = new Driver().live(1, [node('a', { data: { title: 'old' } })])
    const id = driver.title('mine')
    driver.commit(2, 'x', [{ type: 'NodeDeleted', nodeId: 'a' }])
    expect(driver.machine.picture().nodes).toEqual([])
    expect(driver.machine.isDoubtful(id)).toBe(true)
    driver.commit(3, 'y', [{ type: 'NodeCreated', node: { id: 'a', position: { x: 0, y: 0 } } }])
    expect(driver.shownTitle()).toBe('mine')
    expect(driver.settled(id)).toEqual([])
  })

  test('A3 what can never fit is refused here, with the code of the server', () => {
    const driver = new Driver().live(1, [node('a'), node('b', { parentId: 'a' })])
    const id = driver.act({ type: 'UPDATE_NODE', payload: { nodeId: 'a', updates: { parentId: 'b' } } })
    expect(driver.settled(id)).toEqual(['PARENT_CYCLE'])
    expect(driver.sent).toEqual([])
    expect(driver.machine.history.canUndo).toBe(false)
  })
})

describe('A4: the version that the author saw', () => {
  test('A4 it is frozen when the user acts', () => {
    const driver = new Driver().live(1)
    driver.step({ type: 'disconnected' })
    driver.move(5)
    driver.connect()
    driver.sync('replay', 2)
    driver.commit(2, 'x', [titled('theirs')])
    expect(driver.sent.at(-1)).toMatchObject({ clientVersion: 1, clientHash: hashOf(1) })
  })

  test('A4 M6 it is inherited from a pending command on the same field, which hides what others wrote', () => {
    const driver = new Driver().live(10)
    driver.title('mine')
    driver.commit(11, 'x', [titled('theirs')])
    expect(driver.shownTitle()).toBe('mine')
    driver.sent = []
    driver.title('mine again')
    driver.move(3)
    expect(driver.sent.map((frame) => frame.clientVersion)).toEqual([10, 11])
  })

  test('A4 it is never newer than what the caller says the user saw', () => {
    const driver = new Driver().live(10)
    driver.commit(11, 'x', [titled('theirs')])
    driver.title('mine', { since: { version: 10, hash: hashOf(10) } })
    expect(driver.sent[0]).toMatchObject({ clientVersion: 10, clientHash: hashOf(10) })
  })
})

describe('A6: ACK', () => {
  test('A6 an ACK before the commit keeps the change on top', () => {
    const driver = new Driver().live(1)
    const id = driver.title('mine')
    driver.ack(id, 3)
    expect(driver.shownTitle()).toBe('mine')
    driver.commit(2, 'x', [titled('theirs')])
    expect(driver.shownTitle()).toBe('mine')
    expect(driver.settled(id)).toEqual([])
    driver.commit(3, id, [titled('mine')])
    expect(driver.settled(id)).toEqual(['applied'])
  })

  test('A6 unchanged ends it at once', () => {
    const driver = new Driver().live(1)
    const id = driver.title('mine')
    driver.ack(id, 1, { outcome: 'unchanged' })
    expect(driver.settled(id)).toEqual(['unchanged'])
    expect(driver.machine.history.canUndo).toBe(false)
  })
})

describe('A7: REVERT', () => {
  test('A7 a temporary refusal holds back what is newer, and is sent again as it was', () => {
    const driver = new Driver().live(1, [node('a'), node('b')])
    const id = driver.title('mine')
    const [first] = driver.sent
    driver.sent = []
    driver.revert(id, 'OVERLOADED', { temporary: true, retryAfterMs: 500 })
    const later = driver.title('x', {}, 'b')
    expect(driver.sent).toEqual([])
    expect(driver.machine.wakeAt()).toBe(driver.now + 500)
    driver.now += 500
    driver.step({ type: 'tick' })
    expect(driver.sent[0]).toEqual(first)
    expect(ids(driver)).toEqual([id, later])
  })

  test('A7 W5 what builds on another names it, and waits while it builds on two', () => {
    const driver = new Driver().live(1)
    const [b, c] = ['b', 'c'].map((id) =>
      driver.act({ type: 'CREATE_NODE', payload: { id, position: { x: 0, y: 0 } } }),
    )
    const edge = driver.act({ type: 'CREATE_EDGE', payload: { id: 'bc', source: 'b', target: 'c' } })
    expect(ids(driver)).toEqual([b, c])
    driver.commit(2, b as string, [{ type: 'NodeCreated', node: { id: 'b', position: { x: 0, y: 0 } } }])
    expect(driver.sent.at(-1)).toMatchObject({ operationId: edge, after: c })
  })

  test('A7 a refusal takes what builds on it along, as one cause', () => {
    const driver = new Driver().live(1)
    driver.step({ type: 'disconnected' })
    const first = driver.title('one')
    const second = driver.title('two')
    driver.connect()
    driver.sync('in_sync', 1)
    driver.revert(first, 'CONFLICT', { resolution: { currentVersion: 1, conflicts: [] } })
    driver.revert(second, 'DEPENDENCY_REFUSED')
    expect(driver.refusals().map(({ operationId, code, cause }) => [operationId, code, cause])).toEqual([
      [first, 'CONFLICT', undefined],
      [second, 'DEPENDENCY_REFUSED', first],
    ])
    expect(driver.shownTitle()).toBeUndefined()
  })

  test('A7 what builds on a refused command and was not sent is refused here', () => {
    const driver = new Driver().live(1)
    const first = driver.act({ type: 'CREATE_NODE', payload: { id: 'b', position: { x: 0, y: 0 } } })
    driver.revert(first, 'OVERLOADED', { temporary: true, retryAfterMs: 9 })
    const second = driver.title('x', {}, 'b')
    driver.now += 9
    driver.sent = []
    driver.frame({ type: 'ERROR', code: 'BAD_REQUEST', message: 'no', operationId: first } as never)
    expect(driver.settled(second)).toEqual(['DEPENDENCY_REFUSED'])
    expect(driver.sent).toEqual([])
  })

  test('A7 what builds on a command that was refused meanwhile names it: the server tells what became of both', () => {
    const driver = new Driver().live(1)
    const first = driver.act({ type: 'CREATE_NODE', payload: { id: 'b', position: { x: 0, y: 0 } } })
    driver.step({ type: 'disconnected' })
    const second = driver.title('x', {}, 'b')
    driver.connect()
    driver.sent = []
    driver.sync('in_sync', 1, { settled: [{ operationId: first, status: 'conflict', version: 1, code: 'ID_TAKEN' }] })
    expect(driver.sent).toMatchObject([{ operationId: first }, { operationId: second, after: first }])
    driver.revert(first, 'ID_TAKEN', { duplicate: true, resolution: { currentVersion: 1, conflicts: [] } })
    expect(driver.settled(second)).toEqual([])
    driver.revert(second, 'DEPENDENCY_REFUSED')
    expect(driver.refusals().map(({ operationId, cause }) => [operationId, cause])).toEqual([
      [first, undefined],
      [second, first],
    ])
  })

  test('M2 a refusal shows what stands, and later commands go on', () => {
    const driver = new Driver().live(1, [node('a', { data: { title: 'now' } })])
    const id = driver.title('mine')
    const other = driver.move(4)
    const disputed = {
      entity: 'node',
      id: 'a',
      path: '/data/title',
      yours: 'mine',
      current: 'now',
      version: 1,
      userId: 'bob',
    }
    driver.revert(id, 'CONFLICT', { resolution: { currentVersion: 1, conflicts: [disputed] } })
    expect(driver.shownTitle()).toBe('now')
    expect(driver.refusals()[0]?.conflicts).toEqual([
      { entity: 'node', id: 'a', path: '/data/title', yours: 'mine', current: 'now', by: 'bob', version: 1 },
    ])
    driver.ack(other, 2)
    driver.commit(2, other, [{ type: 'NodeMoved', nodeId: 'a', position: { x: 4, y: 0 } }])
    expect(driver.settled(other)).toEqual(['applied'])
  })

  test('W5 no more than 32 are in flight', () => {
    const driver = new Driver().live(1)
    const made = Array.from({ length: 40 }, (_, x) =>
      driver.act({ type: 'CREATE_NODE', payload: { id: `n${x}`, position: { x, y: 0 } } }),
    )
    expect(driver.sent).toHaveLength(32)
    driver.ack(made[0] as string, 2)
    expect(driver.sent).toHaveLength(33)
  })

  test('W9 an operation that can not be read makes room for the next', () => {
    const driver = new Driver().live(1)
    const [first] = Array.from({ length: 33 }, (_, x) =>
      driver.act({ type: 'CREATE_NODE', payload: { id: `n${x}`, position: { x, y: 0 } } }),
    )
    expect(driver.sent).toHaveLength(32)
    driver.frame({ type: 'ERROR', code: 'BAD_REQUEST', message: 'no', operationId: first } as never)
    expect(driver.sent).toHaveLength(33)
  })

  test('W5 what is longer than a message may be is refused here', () => {
    const driver = new Driver().live(1)
    const id = driver.title('x'.repeat(1 << 20))
    expect(driver.settled(id)).toEqual(['TOO_LARGE'])
    expect(driver.sent).toEqual([])
  })
})

describe('P: what a device keeps', () => {
  test('P2 a confirming step is one transaction: the commit, and the end of the operation', () => {
    const driver = new Driver({ isKept: true }).live(1)
    const id = driver.title('mine')
    driver.changes = []
    const [store] = driver.commit(2, id, [titled('mine')])
    expect(store?.type).toBe('store')
    expect(driver.changes.map((change) => ('put' in change ? `put ${change.put}` : `drop ${change.drop}`))).toEqual([
      'put commit',
      'drop operation',
      'put history',
    ])
  })

  test('P4 it boots from what is kept: state, commits, operations on top; nothing is sent before SYNC', () => {
    const driver = new Driver({ isKept: true }).live(1)
    driver.commit(2, 'x', [titled('theirs')])
    const id = driver.move(9)
    const checkpoint = driver.changes.find((change) => 'put' in change && change.put === 'checkpoint') as never
    const tail = driver.changes.flatMap((change) => ('put' in change && change.put === 'commit' ? [change.commit] : []))
    const operations = driver.machine.pending.map((pending) => pending.stored)
    const again = new Driver({ isKept: true })
    again.step({ type: 'loaded', stored: { checkpoint, tail, operations, history: null } })
    expect(again.machine.picture()).toMatchObject({
      ready: true,
      nodes: [{ position: { x: 9 }, data: { title: 'theirs' } }],
    })
    again.connect()
    expect(again.sent).toEqual([{ type: 'SUBSCRIBE', graphId: 'g', version: 2, hash: hashOf(2), pending: [id] }])
  })

  test('P7 what builds on an adopted command goes under its client', () => {
    const other = new Driver({ clientId: 'gone' }).live(1)
    other.title('theirs')
    const driver = new Driver().live(1)
    driver.step({
      type: 'adopted',
      operations: other.machine.pending.map((pending) => ({ ...pending.stored, operationId: 'adopted' })),
    })
    // What became of it is asked first.
    expect(driver.sent).toMatchObject([{ type: 'SUBSCRIBE', pending: ['adopted'] }])
    driver.sync('in_sync', 1, { settled: [{ operationId: 'adopted', status: 'unknown' }] })
    driver.title('more')
    driver.move(1)
    expect(driver.sent.slice(1).map((frame) => frame.clientId)).toEqual(['gone', 'gone', 'me'])
  })
})
