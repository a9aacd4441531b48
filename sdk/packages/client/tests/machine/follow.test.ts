import { describe, expect, test } from 'vitest'
import { Driver, hashOf, LIMITS, node, titled } from './driver.ts'

describe('A2: commits', () => {
  test('A2 the next version is applied, a repeat is passed over, a gap needs a new connection', () => {
    const driver = new Driver().live(1)
    driver.commit(2, 'x', [titled('two')])
    expect(driver.shownTitle()).toBe('two')
    driver.commit(2, 'x', [titled('again')])
    expect(driver.shownTitle()).toBe('two')
    expect(driver.commit(4, 'y', [titled('four')])).toContainEqual(expect.objectContaining({ type: 'reconnect' }))
    expect(driver.machine.point).toEqual({ version: 2, hash: hashOf(2) })
  })

  test('A2 a repeat with another hash is of another history', () => {
    const driver = new Driver().live(1)
    const effects = driver.commit(1, 'x', [], { hash: hashOf(1, 'b') })
    expect(effects).toContainEqual(expect.objectContaining({ type: 'reconnect' }))
  })

  test('A2 an own commit ends its operation, with or without its ACK', () => {
    const driver = new Driver().live(1)
    const id = driver.title('mine')
    driver.commit(2, id, [titled('mine')])
    expect(driver.machine.pending).toHaveLength(0)
    driver.ack(id, 2)
    expect(driver.settled(id)).toEqual(['applied'])
  })

  test('M9 an own commit as predicted changes nothing that is shown', () => {
    const driver = new Driver().live(1)
    const [first, second] = [driver.title('mine'), driver.move(7)]
    const before = driver.machine.picture()
    expect(driver.commit(2, first, [titled('mine')]).map(({ type }) => type)).not.toContain('changed')
    expect(driver.machine.picture()).toBe(before)
    driver.commit(3, second, [{ type: 'NodeMoved', nodeId: 'a', position: { x: 7, y: 0 } }])
    expect(driver.machine.picture()).toBe(before)
    expect(driver.machine.meta('a')?.version).toBe(3)
    driver.commit(4, 'x', [titled('theirs')])
    expect(driver.shownTitle()).toBe('theirs')
  })

  test('M9 a commit gives new objects for what it touches only', () => {
    const driver = new Driver().live(1, [node('a'), node('b')])
    const before = driver.machine.picture()
    driver.title('mine', {}, 'b')
    driver.commit(2, 'x', [titled('theirs')])
    const after = driver.machine.picture()
    expect(after.nodes[0]).not.toBe(before.nodes[0])
    driver.commit(3, 'y', [titled('more')])
    expect(driver.machine.picture().nodes[1]).toBe(after.nodes[1])
  })
})

describe('A8: resume', () => {
  test('A8 nothing is sent between SUBSCRIBE and SYNC, and what was sent is asked after', () => {
    const driver = new Driver().live(1)
    const sent = driver.title('one')
    driver.step({ type: 'disconnected' })
    const offline = driver.move(3)
    driver.sent = []
    driver.connect()
    expect(driver.sent).toEqual([{ type: 'SUBSCRIBE', graphId: 'g', version: 1, hash: hashOf(1), pending: [sent] }])
    driver.sync('in_sync', 1, { settled: [{ operationId: sent, status: 'unknown' }] })
    expect(driver.sent.slice(1).map((frame) => frame.operationId)).toEqual([sent, offline])
  })

  test('A8 what is completed below the point shows no more, and its outcome is asked for', () => {
    const driver = new Driver().live(1)
    const id = driver.title('mine')
    driver.step({ type: 'disconnected' })
    driver.connect()
    driver.sent = []
    driver.snapshot(5, [node('a', { data: { title: 'later' } })], {
      settled: [{ operationId: id, status: 'completed', version: 2 }],
    })
    expect(driver.shownTitle()).toBe('later')
    expect(driver.sent).toHaveLength(1)
    driver.ack(id, 2, { duplicate: true, outcome: 'merged' })
    expect(driver.settled(id)).toEqual(['merged'])
  })

  test('A8 what was refused shows no more, and the reason is asked for', () => {
    const driver = new Driver().live(1)
    const id = driver.title('mine')
    driver.step({ type: 'disconnected' })
    driver.connect()
    driver.sync('in_sync', 1, { settled: [{ operationId: id, status: 'conflict', version: 1, code: 'CONFLICT' }] })
    expect(driver.shownTitle()).toBeUndefined()
    driver.revert(id, 'CONFLICT', { duplicate: true, resolution: { currentVersion: 1, conflicts: [] } })
    expect(driver.settled(id)).toEqual(['CONFLICT'])
  })

  test('A8 a completed operation beyond the point stays on top until its commit', () => {
    const driver = new Driver().live(1)
    const id = driver.title('mine')
    driver.step({ type: 'disconnected' })
    driver.connect()
    driver.sync('replay', 3, { settled: [{ operationId: id, status: 'completed', version: 3 }] })
    driver.commit(2, 'x', [titled('theirs')])
    expect(driver.shownTitle()).toBe('mine')
    driver.commit(3, id, [titled('mine')], { outcome: 'merged' })
    expect(driver.settled(id)).toEqual(['merged'])
  })

  test('A8 C3 of an edit that was sent long after it was made, the reason of a refusal is asked for', () => {
    const driver = new Driver().live(1)
    driver.step({ type: 'disconnected' })
    const id = driver.title('mine')
    driver.now += LIMITS.operationTtlMs
    driver.connect()
    driver.sync('in_sync', 1)
    driver.step({ type: 'disconnected' })
    driver.connect()
    driver.sent = []
    driver.sync('in_sync', 1, { settled: [{ operationId: id, status: 'conflict', version: 1, code: 'CONFLICT' }] })
    expect(driver.sent).toMatchObject([{ type: 'COMMAND', operationId: id }])
    driver.revert(id, 'NODE_NOT_FOUND', { duplicate: true })
    expect(driver.settled(id)).toEqual(['NODE_NOT_FOUND'])
  })

  test('C3 an undo that the device takes for unsent, and that ended without a commit, is not sent otherwise', () => {
    const before = new Driver({ isKept: true }).live(1)
    const id = before.title('mine')
    const undo = before.undo()
    const operations = before.machine.pending.map(({ stored }) => stored)
    expect(operations[1]).toMatchObject({ intent: { targets: [{ operationId: id, version: null }] }, sentAt: null })
    before.commit(2, id, [titled('mine')])
    expect(before.sent.at(-1)).toMatchObject({ operationId: undo })

    // The program ended before the device knew that.
    const again = new Driver({ isKept: true })
    const checkpoint = before.changes.find((change) => 'put' in change && change.put === 'checkpoint') as never
    again.step({ type: 'loaded', stored: { checkpoint, tail: [], operations, history: null } })
    again.connect()
    again.sent = []
    again.snapshot(3, [node('a', { data: { title: 'theirs' } })], {
      settled: [
        { operationId: id, status: 'completed', version: 2 },
        { operationId: undo, status: 'completed', version: 4 },
      ],
    })
    again.commit(4, 'x', [titled('more')])
    expect(again.settled(undo)).toEqual(['unchanged'])
    again.ack(id, 2, { duplicate: true })
    expect(again.sent.map((frame) => frame.operationId)).toEqual([id])
  })

  test('W2 while the store is away the subscription is tried again', () => {
    const driver = new Driver()
    driver.connect()
    driver.frame({ type: 'ERROR', code: 'STORE_UNAVAILABLE', message: 'away' } as never)
    driver.now = driver.machine.wakeAt() as number
    driver.sent = []
    driver.step({ type: 'tick' })
    expect(driver.sent).toEqual([{ type: 'SUBSCRIBE', graphId: 'g' }])
  })

  test('W2 a graph that may not be followed is given up until the next connection', () => {
    const driver = new Driver()
    driver.connect()
    driver.frame({ type: 'ERROR', code: 'FORBIDDEN', message: 'no' } as never)
    expect(driver.machine.refusal).toBe('FORBIDDEN')
    driver.step({ type: 'disconnected' })
    driver.connect()
    expect(driver.sent.at(-1)?.type).toBe('SUBSCRIBE')
  })
})

describe('A9: snapshots', () => {
  test('A9 a snapshot keeps the objects of what is equal', () => {
    const driver = new Driver().live(1, [node('a'), node('b', { data: { title: 'x' } })])
    const before = driver.machine.picture()
    driver.step({ type: 'disconnected' })
    driver.connect()
    driver.snapshot(9, [node('a', { data: { title: 'new' } }), node('b', { data: { title: 'x' } })])
    const after = driver.machine.picture()
    expect(after.nodes[1]).toBe(before.nodes[1])
    expect(after.nodes[0]).not.toBe(before.nodes[0])
  })

  test('A9 a replaced history clears undo, is told, and what it had accepted is sent again', () => {
    const driver = new Driver().live(5)
    const id = driver.title('mine')
    driver.ack(id, 6)
    driver.sent = []
    driver.snapshot(2, [node('a')], { reset: true, hash: hashOf(2, 'b') })
    expect(driver.effects).toContainEqual({ type: 'replaced', discarded: [id] })
    expect(driver.machine.history.canUndo).toBe(false)
    expect(driver.sent.map((frame) => [frame.operationId, frame.clientVersion])).toEqual([[id, 5]])
  })

  test('D8 an operation of a replaced history is moved to older points, at last to the beginning', () => {
    const driver = new Driver().live(1)
    for (let version = 2; version <= 6; version++) driver.commit(version, 'x', [titled(`${version}`)])
    const id = driver.title('mine')
    const replaced = { resolution: { currentVersion: 4, hash: hashOf(4, 'b'), conflicts: [] } }
    const bases: unknown[] = []
    for (let turn = 0; turn < 5; turn++) {
      driver.sent = []
      driver.revert(id, 'HISTORY_REPLACED', replaced)
      bases.push(driver.sent[0]?.clientVersion)
    }
    expect(bases).toEqual([4, 2, 1, 0, undefined])
    expect(driver.settled(id)).toEqual(['history_replaced'])
  })
})

describe('D8: edits of somebody who has not seen yet that the history was replaced', () => {
  test('D8 M6 it is judged from what its author saw, and moved to points of that history only', () => {
    const driver = new Driver().live(2)
    for (let version = 3; version <= 10; version++) driver.commit(version, 'x', [titled(`${version}`)])
    driver.snapshot(5, [node('a')], { reset: true, hash: hashOf(5, 'b') })
    driver.sent = []
    const id = driver.title('mine', { since: { version: 10, hash: hashOf(10) } })
    const replaced = { resolution: { currentVersion: 5, hash: hashOf(5, 'b'), conflicts: [] } }
    for (let turn = 0; turn < 2; turn++) driver.revert(id, 'HISTORY_REPLACED', replaced)
    expect(driver.sent.map(({ clientVersion, clientHash }) => [clientVersion, clientHash])).toEqual([
      [10, hashOf(10)],
      [5, hashOf(5)],
      [3, hashOf(3)],
    ])
    // What is made after it was seen is of the new history.
    driver.sent = []
    const seen = driver.act({ type: 'SET_VIEWPORT', payload: { x: 1, y: 1, zoom: 1 } })
    expect(driver.sent).toMatchObject([{ operationId: seen, clientVersion: 5, clientHash: hashOf(5, 'b') }])
  })
})

describe('A10: operations that the server may have forgotten', () => {
  function expiring(): [Driver, string] {
    const driver = new Driver().live(1)
    const id = driver.title('mine')
    driver.step({ type: 'disconnected' })
    driver.now += LIMITS.operationTtlMs + 1
    driver.connect()
    driver.sent = []
    return [driver, id]
  }

  test('A10 after a replay the commits tell that it never was committed', () => {
    const [driver, id] = expiring()
    driver.sync('replay', 2, { settled: [{ operationId: id, status: 'unknown' }] })
    expect(driver.sent).toEqual([])
    driver.commit(2, 'x', [{ type: 'NodeMoved', nodeId: 'a', position: { x: 1, y: 1 } }])
    expect(driver.sent.map((frame) => frame.operationId)).toEqual([id])
  })

  test('A10 W5 what waits for the rest of a replay is not asked for time and again', () => {
    const driver = new Driver().live(1)
    const id = driver.title('mine')
    driver.revert(id, 'OVERLOADED', { temporary: true, retryAfterMs: 5 })
    driver.step({ type: 'disconnected' })
    driver.now += LIMITS.operationTtlMs + 1
    driver.connect()
    driver.sync('replay', 3, { settled: [{ operationId: id, status: 'unknown' }] })
    expect(driver.machine.wakeAt()).toBeLessThan(driver.now)
    driver.sent = []
    driver.step({ type: 'tick' })
    expect(driver.machine.wakeAt()).toBeNull()
    driver.commit(2, 'x', [titled('2')])
    expect(driver.sent).toEqual([])
    driver.commit(3, 'x', [titled('3')])
    expect(driver.sent).toMatchObject([{ operationId: id }])
  })

  test('A10 C3 what may be forgotten is asked after, also behind a thousand that were never sent', () => {
    const driver = new Driver()
    driver.now = LIMITS.operationTtlMs * 2
    const operations = Array.from({ length: 1_001 }, (_, seq) => ({
      ...{ operationId: `o${seq}`, clientId: 'me', seq, role: 'edit' as const, madeAt: 1, dependsOn: [], reads: [] },
      ...{ base: { version: 0, hash: hashOf(0) }, writes: [], sentAt: seq === 1_000 ? 1 : null },
      intent: { type: 'CREATE_NODE' as const, payload: { id: `n${seq}`, position: { x: 0, y: 0 } } },
    }))
    driver.step({ type: 'loaded', stored: { checkpoint: null, tail: [], operations, history: null } })
    driver.connect()
    const asked = driver.sent[0]?.pending as string[]
    expect(asked).toHaveLength(1_000)
    const settled = asked.map((operationId) => ({ operationId, status: 'unknown' }))
    driver.snapshot(1, [], { settled })
    expect(driver.settled('o1000')).toEqual(['expired'])
    expect(driver.sent.slice(1, 3)).toMatchObject([{ operationId: 'o0' }, { operationId: 'o1' }])
  })

  test('A10 after a replay that has it, it has ended', () => {
    const [driver, id] = expiring()
    driver.sync('replay', 2, { settled: [{ operationId: id, status: 'unknown' }] })
    driver.commit(2, id, [titled('mine')])
    expect(driver.settled(id)).toEqual(['applied'])
    expect(driver.sent).toEqual([])
  })

  test('A10 after a snapshot the state tells, or nothing does', () => {
    const [stands, first] = expiring()
    stands.snapshot(9, [node('a', { data: { title: 'mine' } })], {
      settled: [{ operationId: first, status: 'unknown' }],
    })
    expect(stands.settled(first)).toEqual(['applied'])
    const [other, second] = expiring()
    other.snapshot(9, [node('a', { data: { title: 'x' } })], { settled: [{ operationId: second, status: 'unknown' }] })
    expect(other.settled(second)).toEqual(['expired'])
    expect(other.sent).toEqual([])
  })
})

describe('what others do beside pending commands', () => {
  test('A3 M9 it shows as if everything was made again, with new objects for what it touches only', () => {
    const nodes = [node('a'), node('b'), node('c')]
    const driver = new Driver().live(1, nodes)
    driver.title('mine')
    driver.act({ type: 'CREATE_NODE', payload: { id: 'd', position: { x: 0, y: 0 } } })
    const before = driver.machine.picture()
    driver.commit(2, 'x', [{ type: 'NodeMoved', nodeId: 'b', position: { x: 4, y: 4 } }, titled('theirs', 'c')])
    const after = driver.machine.picture()
    expect(after.nodes.map((each, at) => each === before.nodes[at])).toEqual([true, false, false, true])
    // What touches a pending command makes all of it again.
    driver.commit(3, 'y', [titled('hidden')])
    expect(driver.machine.picture()).toEqual(after)
    expect(driver.machine.picture().nodes[1]).toBe(after.nodes[1])
  })

  test('A3 a move of the parent that a pending command needs is not taken as being beside it', () => {
    const driver = new Driver().live(1, [node('a'), node('b')])
    driver.act({ type: 'UPDATE_NODE', payload: { nodeId: 'a', updates: { parentId: 'b' } } })
    driver.commit(2, 'x', [{ type: 'NodeUpdated', nodeId: 'b', patch: { parentId: 'a' } }])
    expect(driver.machine.picture().nodes.map((each) => [each.id, each.parentId])).toEqual([
      ['a', undefined],
      ['b', 'a'],
    ])
  })
})

describe('M1 U7 the order of what came back', () => {
  test('where a state can not tell it, the next state is asked for, also after a break or a reload before it came', () => {
    const driver = new Driver({ isKept: true }).live(1, [node('a'), node('b')])
    driver.changes = []
    const back = {
      type: 'NodeRestored',
      node: { id: 'c', position: { x: 0, y: 0 } },
      ordinal: 1,
      createdAt: 1,
    } as const
    driver.commit(2, 'x', [back])
    const whole = { type: 'SUBSCRIBE', graphId: 'g' }
    expect(driver.sent).toEqual([whole])
    driver.step({ type: 'disconnected' })
    driver.connect()
    expect(driver.sent).toEqual([whole, whole])

    const [kept] = driver.changes.flatMap((change) =>
      'put' in change && change.put === 'commit' ? [change.commit] : [],
    )
    const again = new Driver({ isKept: true })
    const state = { nodes: [node('a'), node('b')], edges: [], viewport: { x: 0, y: 0, zoom: 1 }, attributes: {} }
    const checkpoint = { point: { version: 1, hash: hashOf(1) }, state }
    again.step({ type: 'loaded', stored: { checkpoint, tail: kept ? [kept] : [], operations: [], history: null } })
    expect(again.machine.point?.version).toBe(2)
    again.connect()
    expect(again.sent).toEqual([whole])

    driver.snapshot(2, [node('a'), node('c'), node('b')])
    driver.step({ type: 'disconnected' })
    driver.connect()
    expect(driver.sent.at(-1)).toEqual({ ...whole, version: 2, hash: hashOf(2) })
  })

  test('where a state can not tell it, the next state is asked for, also if the device keeps the uncertain one after a thousand commits', () => {
    const driver = new Driver({ isKept: true }).live(1, [node('a'), node('b')])
    const back = {
      type: 'NodeRestored',
      node: { id: 'c', position: { x: 0, y: 0 } },
      ordinal: 1,
      createdAt: 1,
    } as const
    for (let version = 2; version < 1_001; version++) driver.commit(version, 'x', [titled('x')])
    driver.changes = []
    driver.commit(1_001, 'x', [back])
    const kept = driver.changes.find((change) => 'put' in change && change.put === 'checkpoint')
    expect(kept).toMatchObject({ point: { version: 1_001 } })
    const again = new Driver({ isKept: true })
    const checkpoint = JSON.parse(JSON.stringify(kept))
    again.step({ type: 'loaded', stored: { checkpoint, tail: [], operations: [], history: null } })
    expect(again.machine.point?.version).toBe(1_001)
    again.connect()
    expect(again.sent).toEqual([{ type: 'SUBSCRIBE', graphId: 'g' }])
  })
})
