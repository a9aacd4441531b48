import { IDBObjectStore } from 'fake-indexeddb'
import { describe, expect, test, vi } from 'vitest'
import type { Change } from '../../src/machine/effects.ts'
import { Driver } from '../machine/driver.ts'
import { Browser } from './pages.ts'

const { getAll } = IDBObjectStore.prototype

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
    const broken = vi.spyOn(IDBObjectStore.prototype, 'getAll').mockImplementation(function (this: { name: string }) {
      if (this.name === 'operations') throw new DOMException('busy', 'UnknownError')
      return getAll.call(this as never)
    })
    expect(await devices[0].adopt()).toEqual([])
    broken.mockRestore()
    expect(await devices[1].adopt()).toMatchObject([{ graphId: 'g', clientId: 'gone' }])
    expect(await devices[0].adopt()).toEqual([])
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
})
