/** Tabs of one browser: they share locks and databases, and each has a session of its own. */

import { IDBFactory, IDBKeyRange } from 'fake-indexeddb'
import type { Device } from '../../src/device.ts'
import { answered, openDatabase } from '../../src/indexeddb/database.ts'
import { openable, type Storages } from '../../src/indexeddb/device.ts'

interface Request {
  readonly name: string
  release(): void
}

export class Browser {
  readonly factory: IDBFactory = new IDBFactory()
  now = 1_000_000
  private readonly held = new Map<string, Request>()
  private readonly channels = new Set<BroadcastChannel>()

  /** Opens a tab. A duplicated one begins with a copy of the session. */
  tab(session: Map<string, string> = new Map()): Tab {
    return new Tab(this, session)
  }

  /** Channels that nobody has closed: one keeps the browser from keeping the page. */
  get open(): number {
    return this.channels.size
  }

  /** What one says in it the others hear. */
  channel(name: string): BroadcastChannel {
    const channel = {
      name,
      onmessage: null,
      postMessage: (data: unknown): void => {
        for (const other of this.channels)
          if (other !== channel && other.name === name) other.onmessage?.({ data } as MessageEvent)
      },
      close: (): void => void this.channels.delete(channel),
    } as unknown as BroadcastChannel
    this.channels.add(channel)
    return channel
  }

  /** The rows of a store, of all clients. */
  async rows(store: string): Promise<unknown[]> {
    const database = await openDatabase(this.factory, 'dao:flows:ada')
    const rows = await answered(database.transaction(store, 'readonly').objectStore(store).getAll())
    database.close()
    return rows
  }

  locksOf(tab: Tab): LockManager {
    const request = (name: string, _: LockOptions, then: (lock: Lock | null) => unknown): Promise<unknown> => {
      if (this.held.has(name)) return Promise.resolve(then(null))
      const release = (): void => {
        this.held.delete(name)
      }
      const own = { name, release }
      this.held.set(name, own)
      tab.locks.push(own)
      return Promise.resolve(then({ name, mode: 'exclusive' } as Lock)).then(release)
    }
    const query = (): Promise<LockManagerSnapshot> =>
      Promise.resolve({ held: [...this.held.keys()].map((name) => ({ name })), pending: [] })
    return { request, query } as unknown as LockManager
  }
}

export class Tab {
  /** Whether it reaches the others. */
  hasChannel = true
  readonly session: Map<string, string>
  readonly locks: Request[] = []
  asked = 0
  private readonly browser: Browser
  private readonly listeners = new Set<{ leave: () => void; back: () => void }>()

  constructor(browser: Browser, session: Map<string, string>) {
    this.browser = browser
    this.session = session
  }

  storages(hasLocks = true): Storages {
    const { browser, session } = this
    return {
      factory: () => browser.factory,
      range: () => IDBKeyRange,
      now: () => browser.now,
      askToKeep: () => {
        this.asked += 1
      },
      page: {
        session: {
          getItem: (key) => session.get(key) ?? null,
          setItem: (key, value) => void session.set(key, value),
          removeItem: (key) => void session.delete(key),
        },
        locks: hasLocks ? browser.locksOf(this) : null,
        onLeave: (leave, back) => {
          const listener = { leave, back }
          this.listeners.add(listener)
          return () => void this.listeners.delete(listener)
        },
        channel: (name) => (this.hasChannel ? browser.channel(name) : null),
      },
    }
  }

  async open(proposed: string, hasLocks = true): Promise<Device> {
    const source = openable({ name: 'flows', user: 'ada' }, this.storages(hasLocks))
    return source.open(source.proposeClientId() ?? proposed)
  }

  /** The user closes or reloads it: the page may still write to its session. */
  close(): void {
    this.leave()
    this.kill()
  }

  /** The page is left. The browser may keep it. */
  leave(): void {
    for (const { leave } of this.listeners) leave()
  }

  /** The page is shown: for the first time, or as it was left. */
  back(): void {
    for (const { back } of this.listeners) back()
  }

  /** It ends without a word. */
  kill(): void {
    for (const lock of this.locks) lock.release()
  }
}
