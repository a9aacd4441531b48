import { describe, expect, test } from 'vitest'
import type { RefusalData } from '../../src/machine/effects.ts'
import { Driver, node, titled } from './driver.ts'

describe('U13: undo', () => {
  test('U13 what was never sent is taken out of the queue, and redo makes it again', () => {
    const driver = new Driver().live(1, [node('a', { data: { title: 'now' } })])
    driver.step({ type: 'disconnected' })
    const id = driver.title('mine')
    driver.undo()
    expect(driver.machine.pending).toHaveLength(0)
    expect(driver.shownTitle()).toBe('now')
    expect(driver.settled(id)).toEqual(['unchanged'])
    driver.undo('redo')
    expect(driver.shownTitle()).toBe('mine')
    expect(driver.machine.pending).toHaveLength(1)
    expect(driver.machine.history).toMatchObject({ canUndo: true, canRedo: false })
  })

  test('U13 an undo of what is not answered waits for its version', () => {
    const driver = new Driver().live(1, [node('a', { data: { title: 'now' } })])
    const id = driver.title('mine')
    driver.sent = []
    const undo = driver.undo()
    expect(driver.shownTitle()).toBe('now')
    expect(driver.sent).toEqual([])
    driver.commit(2, id, [titled('mine')])
    expect(driver.sent).toMatchObject([
      { operationId: undo, command: { type: 'UNDO', payload: { operations: [{ operationId: id, version: 2 }] } } },
    ])
  })

  test('U13 what was sent otherwise is a step, also before its commit is known here', () => {
    for (const isEarly of [true, false]) {
      const driver = new Driver().live(1, [node('a', { data: { title: 'now' } })])
      const edit = driver.title('mine')
      driver.commit(2, edit, [titled('mine')])
      const restore = '0192f0c1-0000-7000-8000-00000000000a'
      const told = () => driver.step({ type: 'did', operationId: restore, version: 3, label: 'Restore v1' })
      if (isEarly) told()
      driver.commit(3, restore, [titled('now')])
      if (!isEarly) told()
      expect(driver.machine.history).toMatchObject({ canUndo: true, undoLabel: 'Restore v1' })
      driver.sent = []
      const undo = driver.undo()
      expect(driver.sent).toMatchObject([
        {
          operationId: undo,
          command: { type: 'UNDO', payload: { operations: [{ operationId: restore, version: 3 }] } },
        },
      ])
      driver.commit(4, undo, [titled('mine')])
      expect(driver.shownTitle()).toBe('mine')
      expect(driver.machine.history).toMatchObject({ canUndo: true, canRedo: true, redoLabel: 'Restore v1' })
    }
  })

  test('U13 the undo of a refused command is dropped silently', () => {
    const driver = new Driver().live(1)
    const id = driver.title('mine')
    const undo = driver.undo()
    driver.revert(id, 'CONFLICT', { resolution: { currentVersion: 1, conflicts: [] } })
    expect(driver.settled(undo)).toEqual(['unchanged'])
    expect(driver.machine.pending).toHaveLength(0)
    expect(driver.machine.history).toMatchObject({ canUndo: false, canRedo: false })
  })

  test('U13 a new edit clears redo; a group is one step', () => {
    const driver = new Driver().live(1)
    const [one, two] = [driver.title('o', { undoGroup: 't' }), driver.title('ok', { undoGroup: 't' })]
    driver.commit(2, one, [titled('o')])
    driver.commit(3, two, [titled('ok')])
    driver.sent = []
    driver.undo()
    expect(driver.sent).toMatchObject([
      {
        command: {
          payload: {
            operations: [
              { operationId: one, version: 2 },
              { operationId: two, version: 3 },
            ],
          },
        },
      },
    ])
    driver.move(1)
    expect(driver.machine.history.canRedo).toBe(false)
  })

  test('U13 an undo says what it left alone, and leaves the stack when it is refused', () => {
    const driver = new Driver().live(1)
    const id = driver.title('mine')
    driver.commit(2, id, [titled('mine')])
    const undo = driver.undo()
    driver.commit(3, undo, [titled('x')], { outcome: 'merged' })
    expect(driver.settled(undo)).toEqual([])
    driver.ack(undo, 3, { outcome: 'merged', result: { skipped: [{ reason: 'TAKEN_OVER' }] } })
    const [outcome] = driver.effects.flatMap((e) => (e.type === 'settled' && e.operationId === undo ? [e.outcome] : []))
    expect(outcome).toEqual({ outcome: 'merged', version: 3, result: { skipped: [{ reason: 'TAKEN_OVER' }] } })
    const redo = driver.undo('redo')
    driver.revert(redo, 'UNDO_CONFLICT', { resolution: { currentVersion: 3, conflicts: [] } })
    expect(driver.machine.history).toMatchObject({ canUndo: false, canRedo: false })
  })
})

describe('U13: undo after a restart', () => {
  test('U13 M5 a step whose command was sent by who took the queue over is dropped, with an undo that waits for it', () => {
    const before = new Driver({ isKept: true }).live()
    const kept = before.title('kept')
    before.commit(2, kept, [titled('kept')])
    before.title('drained')
    before.undo()
    const stored = (driver: Driver) => ({
      checkpoint: null,
      tail: [],
      operations: driver.machine.pending.map((pending) => pending.stored),
      history: driver.changes
        .flatMap((change) => ('put' in change && change.put === 'history' ? [change.history] : []))
        .at(-1) as never,
    })
    const all = stored(before)
    expect(all.operations.map(({ intent }) => intent.type)).toEqual(['UPDATE_NODE', 'UNDO'])

    const after = new Driver({ isKept: true })
    after.step({ type: 'loaded', stored: { ...all, operations: all.operations.slice(1) } })
    expect(after.machine.pending).toEqual([])
    expect(after.machine.history).toMatchObject({ canUndo: true, canRedo: false })
    after.live(3)
    expect(after.sent).toEqual([])
    after.undo()
    expect(after.sent).toMatchObject([
      { command: { type: 'UNDO', payload: { operations: [{ operationId: kept, version: 2 }] } } },
    ])
    // What is still in the queue is no loss.
    const whole = new Driver({ isKept: true })
    whole.step({ type: 'loaded', stored: all })
    expect(whole.machine.pending).toHaveLength(2)
    expect(whole.machine.history.canRedo).toBe(true)
  })

  test('U13 an edit before the device is read leaves nothing to put back', () => {
    const step = (operationId: string) => ({
      label: operationId,
      group: null,
      operations: [{ operationId, version: 1 }],
      drafts: [],
    })
    const stored = { checkpoint: null, tail: [], operations: [] }
    const history = { undo: [step('first')], redo: [step('second')] }
    const quiet = new Driver({ isKept: true })
    quiet.step({ type: 'loaded', stored: { ...stored, history } })
    expect(quiet.machine.history).toMatchObject({ undoLabel: 'first', redoLabel: 'second' })
    for (const isTakenBack of [false, true]) {
      const driver = new Driver({ isKept: true })
      driver.title('early', { label: 'early' })
      if (isTakenBack) driver.undo()
      driver.step({ type: 'loaded', stored: { ...stored, history } })
      const expected = isTakenBack
        ? { undoLabel: 'first', redoLabel: 'early' }
        : { undoLabel: 'early', redoLabel: null }
      expect(driver.machine.history).toMatchObject(expected)
    }
  })

  test('U13 M2 a refused undo that is tried again can be redone, a refused redo undone', () => {
    const driver = new Driver().live()
    driver.commit(2, driver.title('one'), [titled('one')])
    const retry = (): void => {
      const { operation } = driver.refusals().at(-1) as RefusalData
      driver.step({ type: 'again', operationId: `again-${operation.role}`, refused: operation, options: {} })
    }
    const undone = driver.undo()
    driver.revert(undone, 'UNDO_CONFLICT')
    expect(driver.machine.history).toMatchObject({ canUndo: false, canRedo: false })
    retry()
    driver.commit(3, 'again-undo', [titled('')])
    expect(driver.machine.history).toMatchObject({ canUndo: false, canRedo: true })
    driver.revert(driver.undo('redo'), 'UNDO_CONFLICT')
    retry()
    expect(driver.machine.history).toMatchObject({ canUndo: true, canRedo: false })
  })
})
