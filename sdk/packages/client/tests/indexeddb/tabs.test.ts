import { IDBObjectStore } from 'fake-indexeddb'
import { describe, expect, test, vi } from 'vitest'
import { openable } from '../../src/indexeddb/device.ts'
import type { Change } from '../../src/machine/effects.ts'
import { Driver } from '../machine/driver.ts'
import { Browser } from './pages.ts'

const { get, getAll } = IDBObjectStore.prototype

/** Nothing can be read of the operations, or only those that have one of these numbers. Returns the way to mend it. */
function damage(readable: readonly number[] = []): () => void {
  const fail = (): never => {
    throw new DOMException('damaged', 'DataError')
  }
  const all = vi.spyOn(IDBObjectStore.prototype, 'getAll').mockImplementation(function (
    this: { name: string },
    ...asked
  ) {
    return this.name === 'operations' ? fail() : getAll.apply(this as never, asked)
  })
  const one = vi.spyOn(IDBObjectStore.prototype, 'get').mockImplementation(function (this: { name: string }, key) {
    const isWhole = this.name !== 'operations' || readable.includes((key as [string, string, number])[2])
    return isWhole ? get.call(this as never, key) : fail()
  })
  return () => {
    all.mockRestore()
    one.mockRestore()
  }
}

/** One edit of a client, as it is kept. */
function edit(clientId: string): Change[] {
  const driver = new Driver({ isKept: true, clientId })
  driver.title('offline')
  return driver.changes
}

describe('P7 M5: tabs', () => {
  test('P7 a tab keeps its client over a reload', async () => {
    const browser = new Browser()
    const tab = browser.tab()
    expect((await tab.open('one')).clientId).toBe('one')
    tab.close()
    expect((await browser.tab(tab.session).open('two')).clientId).toBe('one')
  })

  test('P7 a reload whose old page lets go late keeps its client', async () => {
    const browser = new Browser()
    const tab = browser.tab()
    await tab.open('one')
    const left = new Map([['dao-client:dao:flows:ada', 'one']])
    setTimeout(() => tab.kill(), 120)
    expect((await browser.tab(left).open('two')).clientId).toBe('one')
  })

  test('P7 a duplicated tab is another client', async () => {
    const browser = new Browser()
    const tab = browser.tab()
    await tab.open('one')
    expect((await browser.tab(new Map(tab.session)).open('two')).clientId).toBe('two')
  })

  test('P7 a client that another tab holds is not taken, whatever the session says', async () => {
    const browser = new Browser()
    const tab = browser.tab()
    await tab.open('one')
    const copied = new Map([['dao-client:dao:flows:ada', 'one']])
    const second = await browser.tab(copied).open('two')
    expect(second.clientId).not.toBe('one')
    expect(second.clientId).toMatch(/^[0-9a-f-]{36}$/)
  })

  test('M5 the queue of a closed tab is taken over once, by one tab, and never that of a living one', async () => {
    const browser = new Browser()
    const gone = browser.tab()
    const living = browser.tab()
    await (await gone.open('gone')).write('g', edit('gone'))
    await (await living.open('living')).write('g', edit('living'))
    const [first, second] = [await browser.tab().open('first'), await browser.tab().open('second')]
    gone.kill()
    expect(await first.adopt()).toEqual([])
    await second.adopt()
    browser.now += 2_000
    const taken = await Promise.all([first.adopt(), second.adopt()])
    expect(taken.flat()).toMatchObject([{ graphId: 'g', clientId: 'gone', operations: [{ clientId: 'gone' }] }])
    browser.now += 2_000
    expect([...(await first.adopt()), ...(await second.adopt())]).toEqual([])
  })

  test('M5 a tab that reloads gets its own queue back', async () => {
    const browser = new Browser()
    const tab = browser.tab()
    const other = await browser.tab().open('other')
    await (await tab.open('one')).write('g', edit('one'))
    await other.adopt()
    browser.now += 60_000
    tab.close()
    expect(await other.adopt()).toEqual([])
    const again = await browser.tab(tab.session).open('new')
    expect(again.clientId).toBe('one')
    expect((await again.load('g')).operations).toHaveLength(1)
    browser.now += 60_000
    expect(await other.adopt()).toEqual([])
  })

  test('M5 a queue that could not be read is taken over later, or by another tab', async () => {
    const browser = new Browser()
    const gone = browser.tab()
    await (await gone.open('gone')).write('g', edit('gone'))
    gone.kill()
    const devices = [await browser.tab().open('first'), await browser.tab().open('second')] as const
    for (const device of devices) await device.adopt()
    browser.now += 2_000
    const mend = damage()
    expect(await devices[0].adopt()).toEqual([])
    mend()
    expect(await devices[1].adopt()).toMatchObject([{ graphId: 'g', clientId: 'gone' }])
    expect(await devices[0].adopt()).toEqual([])
  })

  test('M5 P7 a tab that is closed while it reads a queue leaves it to others', async () => {
    const browser = new Browser()
    const gone = browser.tab()
    await (await gone.open('one')).write('g', edit('one'))
    gone.kill()
    const closing = await browser.tab().open('two')
    expect(await closing.adopt()).toEqual([])
    browser.now += 1_500
    let closed: Promise<void> | null = null
    const reading = vi.spyOn(IDBObjectStore.prototype, 'getAll').mockImplementation(function (
      this: { name: string },
      ...asked
    ) {
      if (this.name === 'operations') closed ??= closing.close()
      return getAll.apply(this as never, asked)
    })
    await closing.adopt()
    reading.mockRestore()
    expect(closed).not.toBeNull()
    await closed
    const other = await browser.tab().open('three')
    await other.adopt()
    browser.now += 1_500
    expect(await other.adopt()).toMatchObject([{ graphId: 'g', clientId: 'one' }])
  })

  test('M5 P7 a queue is taken over as it is when nobody has it any more, not as it was seen', async () => {
    const browser = new Browser()
    const gone = browser.tab()
    const leaving = await gone.open('one')
    await leaving.write('g', edit('one'))
    gone.kill()
    let last = async (): Promise<void> => {}
    const locksOf = browser.locksOf.bind(browser)
    browser.locksOf = (tab) => {
      const { request, query } = locksOf(tab)
      return { request, query: () => last().then(query) } as LockManager
    }
    const other = await browser.tab().open('two')
    expect(await other.adopt()).toEqual([])
    browser.now += 1_500
    // While the other looks, the first still writes what was on its way.
    last = () => leaving.write('h', edit('one'))
    expect((await other.adopt()).map(({ graphId }) => graphId)).toEqual(['g', 'h'])
  })

  test('P4 P7 a record that is damaged costs only itself when a queue is taken over', async () => {
    const browser = new Browser()
    const gone = browser.tab()
    const left = await gone.open('gone')
    const driver = new Driver({ isKept: true, clientId: 'gone' })
    const ids = [driver.title('one'), driver.title('two', {}, 'b'), driver.title('three', {}, 'c')]
    await left.write('g', driver.changes)
    const seqs = (await left.load('g')).operations.map(({ seq }) => seq)
    await left.write('damaged', edit('gone'))
    gone.kill()
    const device = await browser.tab().open('other')
    await device.adopt()
    browser.now += 2_000
    const mend = damage(seqs.slice(1))
    const taken = await device.adopt()
    mend()
    const operations = ids.slice(1).map((operationId) => ({ operationId }))
    // Of the other graph nothing can be read: its queue stays where it is.
    expect(taken).toMatchObject([{ graphId: 'g', clientId: 'gone', operations }])
  })

  test('P7 tabs do not keep each other busy with a queue that can not be read', async () => {
    const browser = new Browser()
    const gone = browser.tab()
    await (await gone.open('gone')).write('g', edit('gone'))
    gone.kill()
    const devices = [await browser.tab().open('first'), await browser.tab().open('second')]
    const woken: number[] = []
    for (const device of devices) {
      await device.adopt()
      device.onWake = (afterMs) => void woken.push(afterMs)
    }
    browser.now += 2_000
    const mend = damage()
    for (const device of devices) expect(await device.adopt()).toEqual([])
    mend()
    expect(woken).toEqual([])
  })

  test('P7 a tab whose database does not open leaves its client to others', async () => {
    const browser = new Browser()
    const gone = browser.tab()
    await (await gone.open('gone')).write('g', edit('gone'))
    gone.close()
    const failing = vi.spyOn(browser.factory, 'open').mockImplementation(() => {
      throw new DOMException('no', 'UnknownError')
    })
    await expect(browser.tab(gone.session).open('new')).rejects.toThrow('no')
    failing.mockRestore()
    const other = await browser.tab().open('other')
    await other.adopt()
    browser.now += 2_000
    expect(await other.adopt()).toMatchObject([{ clientId: 'gone' }])
  })

  test('P6 what is kept of a tab that is gone for a month is deleted, if it left nothing to send', async () => {
    const browser = new Browser()
    const steps: Change[] = [{ put: 'history', history: { undo: [], redo: [] } }]
    const open = async (id: string, changes: Change[]): Promise<void> => {
      const tab = browser.tab()
      await (await tab.open(id)).write('g', changes)
      tab.kill()
    }
    await open('gone', steps)
    await open('queued', [...steps, ...edit('queued')])
    browser.now += 29 * 86_400_000
    await open('recent', steps)
    const clientsOf = async (store: string): Promise<unknown[]> =>
      (await browser.rows(store)).map((row) => (row as { clientId: string }).clientId)
    const device = await browser.tab().open('here')
    await device.adopt()
    expect(await clientsOf('histories')).toEqual(['gone', 'queued', 'recent'])
    browser.now += 2 * 86_400_000
    await (await browser.tab().open('later')).adopt()
    expect(await clientsOf('histories')).toEqual(['queued', 'recent'])
    expect(await clientsOf('clients')).toEqual(['here', 'later', 'queued', 'recent'])
    expect(await clientsOf('operations')).toEqual(['queued'])
  })

  test('P7 without locks a queue is taken over when its tab was not seen for a minute', async () => {
    const browser = new Browser()
    await (await browser.tab().open('gone', false)).write('g', edit('gone'))
    const device = await browser.tab().open('here', false)
    expect(await device.adopt()).toEqual([])
    browser.now += 61_000
    expect(await device.adopt()).toHaveLength(1)
  })

  test('P7 a tab that is closed wakes the others: its queue is taken over as soon as it does not come back', async () => {
    const browser = new Browser()
    const tab = browser.tab()
    const other = await browser.tab().open('other')
    const woken: number[] = []
    other.onWake = (afterMs) => void woken.push(afterMs)
    await (await tab.open('gone')).write('g', edit('gone'))
    tab.close()
    expect(woken).toEqual([1_550])
    browser.now += 1_550
    expect(await other.adopt()).toMatchObject([{ graphId: 'g', clientId: 'gone' }])
  })

  test('P7 a client that is closed is over: its queue, and those that it took over, are taken over at once', async () => {
    const browser = new Browser()
    const gone = browser.tab()
    await (await gone.open('gone')).write('g', edit('gone'))
    gone.kill()
    const first = await browser.tab().open('first')
    await first.write('g', edit('first'))
    await first.adopt()
    browser.now += 2_000
    expect(await first.adopt()).toHaveLength(1)
    const second = await browser.tab().open('second')
    const woken: number[] = []
    second.onWake = (afterMs) => void woken.push(afterMs)
    await first.close()
    expect(woken).toEqual([50])
    const taken = await second.adopt()
    expect(taken.map(({ clientId }) => clientId).sort()).toEqual(['first', 'gone'])
  })

  test('P7 the next client of the same source goes on as the one that was closed, with its queue and its undo', async () => {
    const browser = new Browser()
    const source = openable({ name: 'flows', user: 'ada' }, browser.tab().storages())
    const first = await source.open(source.proposeClientId() ?? 'first')
    expect(source.proposeClientId()).toBeNull()
    const history = { undo: [{ operations: [] }], redo: [] } as never
    await first.write('g', [...edit('first'), { put: 'history', history }])
    const { operations } = await first.load('g')
    await first.close()
    const second = await source.open(source.proposeClientId() ?? 'second')
    expect(second.clientId).toBe('first')
    expect(await second.load('g')).toMatchObject({ operations, history })
    await second.close()
    await source.forget()
    expect(source.proposeClientId()).toBeNull()
  })

  test('P7 the next client of the same source is another one if a tab has taken over the queue', async () => {
    const browser = new Browser()
    const source = openable({ name: 'flows', user: 'ada' }, browser.tab().storages())
    const other = await browser.tab().open('other')
    const first = await source.open(source.proposeClientId() ?? 'first')
    await first.write('g', edit('first'))
    await first.close()
    expect(await other.adopt()).toMatchObject([{ graphId: 'g', clientId: 'first' }])
    const second = await source.open(source.proposeClientId() ?? 'second')
    expect(second.clientId).not.toBe('first')
    expect((await second.load('g')).operations).toEqual([])
  })

  test('P7 a page that is left says nothing more until it is back', async () => {
    const browser = new Browser()
    const [tab, other] = [browser.tab(), browser.tab()]
    const device = await tab.open('one')
    const woken: number[] = []
    device.onWake = (afterMs) => void woken.push(afterMs)
    const second = await other.open('two')
    tab.leave()
    other.leave()
    expect(woken).toEqual([])
    tab.back()
    other.back()
    await second.close()
    expect(woken).toEqual([50])
  })

  test('P7 a page has one channel, also when it is shown for the first time, and none while it is left', async () => {
    const browser = new Browser()
    const tab = browser.tab()
    const device = await tab.open('one')
    tab.back()
    expect(browser.open).toBe(1)
    tab.leave()
    expect(browser.open).toBe(0)
    tab.back()
    expect(browser.open).toBe(1)
    await device.close()
    tab.back()
    expect(browser.open).toBe(0)
  })

  test('P7 without channels tabs look by themselves', async () => {
    const browser = new Browser()
    const [tab, other] = [browser.tab(), browser.tab()]
    tab.hasChannel = false
    await (await tab.open('gone')).write('g', edit('gone'))
    const device = await other.open('other')
    const woken: number[] = []
    device.onWake = (afterMs) => void woken.push(afterMs)
    tab.close()
    expect(woken).toEqual([])
    await device.adopt()
    browser.now += 2_000
    expect(await device.adopt()).toHaveLength(1)
  })
})
