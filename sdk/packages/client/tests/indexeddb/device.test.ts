import { IDBDatabase as FakeDatabase, IDBObjectStore as FakeStore, type IDBFactory } from 'fake-indexeddb'
import { describe, expect, test, vi } from 'vitest'
import { openable } from '../../src/indexeddb/device.ts'
import type { Change, StoredGraph } from '../../src/machine/effects.ts'
import { Driver, hashOf, node, titled } from '../machine/driver.ts'
import { Browser } from './pages.ts'

/** What a machine has its device keep, step by step. */
function history(): { driver: Driver; steps: Change[][]; ids: string[] } {
  const driver = new Driver({ isKept: true, clientId: 'tab' })
  const steps: Change[][] = []
  const step = (act: () => void): void => {
    driver.changes = []
    act()
    if (driver.changes.length > 0) steps.push(driver.changes)
  }
  const ids: string[] = []
  step(() => driver.connect())
  step(() => driver.snapshot(1, [node('a')]))
  step(() => ids.push(driver.title('one')))
  step(() => driver.commit(2, 'x', [{ type: 'NodeCreated', node: { id: 'b', position: { x: 0, y: 0 } } }]))
  step(() => ids.push(driver.move(5)))
  step(() => driver.commit(3, ids[0] as string, [titled('one')]))
  step(() => driver.revert(ids[1] as string, 'OVERLOADED', { temporary: true, retryAfterMs: 5 }))
  step(() => ids.push(driver.title('two', {}, 'b')))
  step(() => driver.commit(4, 'y', [{ type: 'NodeMoved', nodeId: 'b', position: { x: 9, y: 9 } }]))
  step(() => driver.undo())
  return { driver, steps, ids }
}

async function boot(stored: StoredGraph): Promise<Driver> {
  const driver = new Driver({ isKept: true, clientId: 'tab' })
  driver.step({ type: 'loaded', stored })
  return driver
}

async function put(browser: Browser, store: string, record: object): Promise<void> {
  const raw = await new Promise<IDBDatabase>((resolve) => {
    const request = browser.factory.open('dao:flows:ada')
    request.onsuccess = () => resolve(request.result)
  })
  const transaction = raw.transaction(store, 'readwrite')
  transaction.objectStore(store).put(record)
  await new Promise((resolve) => {
    transaction.oncomplete = resolve
  })
  raw.close()
}

describe('IndexedDB', () => {
  test('P2 P4 a crash after any transaction leaves a graph that boots, with each operation or its commit', async () => {
    const { driver, steps } = history()
    for (let count = 0; count <= steps.length; count++) {
      const browser = new Browser()
      const device = await browser.tab().open('tab')
      for (const changes of steps.slice(0, count)) await device.write('g', changes)
      const stored = await (await browser.tab().open('tab', false)).load('g')
      const kept = new Set(stored.operations.map((operation) => operation.operationId))
      // The same prefix, folded by hand.
      const expected = new Set<string>()
      let head = 0
      for (const change of steps.slice(0, count).flat()) {
        if ('drop' in change) expected.delete(change.operation.operationId)
        else if (change.put === 'operation') expected.add(change.operation.operationId)
        else if (change.put === 'commit') head = change.commit.version
        else if (change.put === 'checkpoint') head = change.point.version
      }
      expect(kept).toEqual(expected)
      const again = await boot(stored)
      expect(again.machine.point?.version ?? 0).toBe(head)
      if (count === steps.length) expect(again.machine.picture()).toEqual(driver.machine.picture())
      await device.close()
    }
  })

  test('P1 what was written in one task is there in order', async () => {
    const { steps } = history()
    const browser = new Browser()
    const device = await browser.tab().open('tab')
    await Promise.all(steps.map((changes) => device.write('g', changes)))
    const stored = await device.load('g')
    expect(stored.tail.map((commit) => commit.version)).toEqual([2, 3, 4])
    expect(stored.checkpoint?.point).toEqual({ version: 1, hash: hashOf(1) })
  })

  test('P4 a damaged record costs the copy of the graph, never an operation', async () => {
    const { steps } = history()
    const browser = new Browser()
    const device = await browser.tab().open('tab')
    for (const changes of steps) await device.write('g', changes)
    const before = await device.load('g')
    const raw = await new Promise<IDBDatabase>((resolve) => {
      const request = browser.factory.open('dao:flows:ada')
      request.onsuccess = () => resolve(request.result)
    })
    const transaction = raw.transaction('tail', 'readwrite')
    transaction.objectStore('tail').delete(['g', 3])
    await new Promise((resolve) => {
      transaction.oncomplete = resolve
    })
    const stored = await device.load('g')
    expect(stored.checkpoint).toBeNull()
    expect(stored.tail).toEqual([])
    expect(stored.operations).toEqual(before.operations)
    expect(before.operations.length).toBeGreaterThan(0)
    const again = await boot(stored)
    again.connect()
    expect(again.sent[0]).not.toHaveProperty('version')
    raw.close()
  })

  test('P4 records that can not be read, or are no longer what they were, cost only themselves', async () => {
    const { driver, steps } = history()
    driver.changes = []
    driver.move(9, 'b')
    steps.push(driver.changes)
    const browser = new Browser()
    const device = await browser.tab().open('tab')
    for (const changes of steps) await device.write('g', changes)
    const before = await device.load('g')
    const [first, ...others] = before.operations
    expect(others.length).toBeGreaterThan(0)
    const { prototype } = FakeStore
    const { get, getAll } = prototype
    const broken = (): never => {
      throw new DOMException('damaged', 'DataError')
    }
    const all = vi.spyOn(prototype, 'getAll').mockImplementation(function (this: { name: string }, ...asked) {
      return this.name === 'operations' ? broken() : getAll.apply(this as never, asked)
    })
    const one = vi.spyOn(prototype, 'get').mockImplementation(function (this: { name: string }, key) {
      const isBroken = this.name !== 'operations' || (key as unknown[])[2] === first?.seq
      return isBroken ? broken() : get.call(this as never, key)
    })
    expect(await device.load('g')).toEqual({ checkpoint: null, tail: [], operations: others, history: null })
    all.mockRestore()
    one.mockRestore()
    expect(await device.load('g')).toEqual(before)
    await put(browser, 'operations', { graphId: 'g', clientId: 'tab', seq: first?.seq })
    await put(browser, 'histories', { graphId: 'g', clientId: 'tab', history: {} })
    await put(browser, 'checkpoints', {
      graphId: 'g',
      ...before.checkpoint,
      state: { ...before.checkpoint?.state, nodes: [null] },
    })
    const stored = await device.load('g')
    expect(stored).toMatchObject({ operations: others, history: null })
    // Only folding tells that the state is damaged.
    const again = await boot(stored)
    expect(again.machine.point).toBeNull()
    expect(again.machine.pending).toHaveLength(others.length)
    again.live(4)
    expect(again.machine.picture().ready).toBe(true)
  })

  test('P6 two tabs that follow one graph write its commits once, and never backwards', async () => {
    const browser = new Browser()
    const [one, two] = [await browser.tab().open('one'), await browser.tab().open('two')]
    const { steps } = history()
    const graphSteps = steps.map((changes) =>
      changes.filter((change) => 'put' in change && ['commit', 'checkpoint'].includes(change.put)),
    )
    for (const changes of graphSteps) {
      await one.write('g', changes)
      await two.write('g', changes)
    }
    // A tab that is behind writes its state late.
    await two.write('g', graphSteps[0] as Change[])
    const stored = await one.load('g')
    expect(stored.tail.map((commit) => commit.version)).toEqual([2, 3, 4])
  })

  test('P5 a disk that takes no more is said, and costs nothing else', async () => {
    const browser = new Browser()
    const device = await browser.tab().open('tab')
    const { steps } = history()
    const full = vi.spyOn(IDBDatabaseOf(browser.factory), 'transaction').mockImplementation(() => {
      throw new DOMException('full', 'QuotaExceededError')
    })
    await expect(device.write('g', steps[1] as Change[])).rejects.toThrow('full')
    expect(device.isDurable).toBe(false)
    full.mockRestore()
    await device.write('g', steps[0] as Change[])
  })

  test('P5 the first edit that can not be sent asks the browser to keep the database', async () => {
    const browser = new Browser()
    const tab = browser.tab()
    const device = await tab.open('tab')
    const driver = new Driver({ isKept: true, clientId: 'tab' }).live(1)
    driver.changes = []
    driver.title('online')
    await device.write('g', driver.changes)
    expect(tab.asked).toBe(0)
    driver.step({ type: 'disconnected' })
    driver.changes = []
    driver.title('offline')
    await device.write('g', driver.changes)
    await device.write('g', driver.changes)
    expect(tab.asked).toBe(1)
  })

  test('P6 forgetting deletes everything of the user', async () => {
    const browser = new Browser()
    const source = openable({ name: 'flows', user: 'ada' }, browser.tab().storages())
    const device = await source.open('tab')
    await device.write('g', history().steps[0] as Change[])
    await device.close()
    await source.forget()
    // In a private window there may be nothing to forget.
    const none = { ...browser.tab().storages(), factory: () => undefined as never }
    await openable({ name: 'flows', user: 'ada' }, none).forget()
    expect((await browser.factory.databases()).map(({ name }) => name)).toEqual([])
  })
})

function IDBDatabaseOf(_: IDBFactory): IDBDatabase {
  return FakeDatabase.prototype as unknown as IDBDatabase
}
