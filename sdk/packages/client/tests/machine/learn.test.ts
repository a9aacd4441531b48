import { describe, expect, test } from 'vitest'
import { Driver, hashOf, node, titled } from './driver.ts'

/** An edit that was committed, by a client that does not know yet how undo is predicted. */
function edited(): { driver: Driver; edit: string } {
  const driver = new Driver({ knowsUndo: false, isKept: true }).live(1)
  const edit = driver.title('mine')
  driver.commit(2, edit, [titled('mine')])
  driver.ack(edit, 2)
  driver.sent = []
  return { driver, edit }
}

describe('U13 undo before it is known how it is predicted', () => {
  test('it is sent at once, in its place, and shows as soon as it is known', () => {
    const { driver, edit } = edited()
    const undo = driver.undo()
    const later = driver.move(7)
    expect(driver.sent).toMatchObject([
      { operationId: undo, command: { type: 'UNDO', payload: { operations: [{ operationId: edit, version: 2 }] } } },
      { operationId: later },
    ])
    expect(driver.shownTitle()).toBe('mine')
    expect(driver.learn()).toContainEqual({ type: 'changed', isLocal: true })
    expect(driver.shownTitle()).toBeUndefined()
    expect(driver.learn()).toEqual([])
  })

  test('it shows when its commit comes, if it is never known', () => {
    const { driver } = edited()
    const undo = driver.undo()
    driver.commit(3, undo, [{ type: 'NodeUpdated', nodeId: 'a', patch: { data: null } }])
    driver.ack(undo, 3, { result: { reverted: [], skipped: [] } })
    expect(driver.shownTitle()).toBeUndefined()
    expect(driver.settled(undo)).toEqual(['applied'])
    driver.undo('redo')
    expect(driver.sent.at(-1)).toMatchObject({ command: { type: 'UNDO' } })
  })

  test('what is never sent is taken out of the queue without it', () => {
    const driver = new Driver({ knowsUndo: false }).live(1)
    driver.step({ type: 'disconnected' })
    const edit = driver.title('mine')
    driver.undo()
    expect(driver.shownTitle()).toBeUndefined()
    expect(driver.settled(edit)).toEqual(['unchanged'])
  })

  test('A7 what is edited on top of it, once it shows, builds on it, also after a reload', () => {
    const driver = new Driver({ knowsUndo: false, isKept: true }).live(1)
    const edit = driver.act({ type: 'DELETE_NODE', payload: { nodeId: 'a' } })
    driver.commit(2, edit, [{ type: 'NodeDeleted', nodeId: 'a' }])
    driver.ack(edit, 2)
    const undo = driver.undo()
    driver.changes = []
    driver.learn()
    const [kept] = driver.changes.flatMap((change) =>
      'put' in change && change.put === 'operation' ? [change.operation] : [],
    )
    expect(kept).toMatchObject({ operationId: undo, writes: [{ kind: 'node', id: 'a', path: '' }] })
    driver.title('again')
    expect(driver.sent.at(-1)).toMatchObject({ command: { type: 'UPDATE_NODE' }, after: undo })

    const again = new Driver({ knowsUndo: false })
    const state = { nodes: [node('b')], edges: [], viewport: { x: 0, y: 0, zoom: 1 } }
    const checkpoint = { point: { version: 2, hash: hashOf(2) }, state }
    again.step({ type: 'loaded', stored: { checkpoint, tail: [], operations: kept ? [kept] : [], history: null } })
    again.learn()
    expect(again.machine.pending.map(({ stored }) => stored.writes)).toEqual([kept?.writes])
  })
})
