/** The device of one tab: its queue, its copy of the graphs, and the queues that it took over. */

import type { Device, DeviceSource, Orphan } from '../device.ts'
import { uuidV7 } from '../ids.ts'
import type { Change, StoredGraph } from '../machine/effects.ts'
import type { StoredOperation } from '../machine/operation.ts'
import { answered, beginningWith, ended, openDatabase } from './database.ts'
import { graphOf, historyOf, isOperation } from './stored.ts'
import { type Channel, type Held, type Page, TabId, tryLock } from './tabs.ts'
import { isUrgent, type Written, write } from './write.ts'

export interface IndexedDbOptions {
  /** Tells applications of one origin apart. */
  name: string
  /** The user's id. Each user has a database of their own: a queue is only ever sent under its own user. */
  user: string
  /**
   * `relaxed` (the default): what is persisted survives the end of the browser, but not a power cut in the next moments.
   * `strict`: also that, and each edit takes many times as long to be persisted.
   */
  durability?: 'relaxed' | 'strict'
}

/** What the browser has. Tests give their own. */
export interface Storages {
  factory(): IDBFactory
  range(): typeof IDBKeyRange
  readonly page: Page
  now(): number
  /** Asks the browser not to evict the database. */
  askToKeep(): void
}

/** How often, and after how many milliseconds, a tab that is loaded again asks for the lock that it had. */
const RELOAD_TURNS = 10
const RELOAD_PAUSE = 50
/** How long a client must be without its lock before its queue is taken over. Milliseconds. */
const FREE_FOR = 1_500
/** The same where there are no locks: how long it must not have been seen. */
const UNSEEN_FOR = 60_000
/** How long the steps of undo of a client that is gone are kept: its tab may be opened again. Milliseconds. */
const KEPT_FOR = 30 * 86_400_000

export function openable({ name, user, durability = 'relaxed' }: IndexedDbOptions, storages: Storages): DeviceSource {
  const database = `dao:${name}:${user}`
  const tab = new TabId(database, storages.page)
  let kept: string | null = null
  /** The client that was closed last: the next one goes on as it. */
  let closed: string | null = null
  return {
    kind: 'indexeddb',
    proposeClientId: () => {
      kept = tab.take() ?? closed
      closed = null
      return kept
    },
    open: async (proposed) => {
      const { locks } = storages.page
      let clientId = proposed
      let lock = await tryLock(locks, lockName(database, clientId))
      // The page before a reload lets go of its lock a moment after this one begins.
      for (let turn = 0; lock === null && proposed === kept && turn < RELOAD_TURNS; turn++) {
        await new Promise((resolve) => setTimeout(resolve, RELOAD_PAUSE))
        lock = await tryLock(locks, lockName(database, clientId))
      }
      if (lock === null) {
        clientId = uuidV7(storages.now())
        lock = await tryLock(locks, lockName(database, clientId))
      }
      tab.keep(clientId)
      const opened = await openDatabase(storages.factory(), database).catch((error: unknown) => {
        // Another tab may be able to send what is there.
        lock?.release()
        throw error
      })
      const onClose = (): void => {
        closed = clientId
      }
      return new IndexedDbDevice(opened, { database, clientId, durability, storages, lock, onClose })
    },
    forget: async () => {
      closed = null
      tab.forget()
      const factory = storages.factory() as IDBFactory | undefined
      if (factory !== undefined) await answered(factory.deleteDatabase(database) as IDBRequest<unknown>)
    },
  }
}

function lockName(database: string, clientId: string): string {
  return `${database}:${clientId}`
}

interface Parts {
  readonly database: string
  readonly clientId: string
  readonly durability: IDBTransactionDurability
  readonly storages: Storages
  readonly lock: Held | null
  readonly onClose: () => void
}

/** What a tab that goes away tells the others. A page that is left may be loaded again; a client that is closed is over. */
interface Leaving {
  readonly clientIds: readonly string[]
  readonly isOver: boolean
}

interface Waiting extends Written {
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

class IndexedDbDevice implements Device {
  readonly clientId: string
  isDurable = true
  onWake: ((afterMs: number) => void) | null = null
  readonly #opened: IDBDatabase
  readonly #parts: Parts
  readonly #locks: Held[] = []
  readonly #adopted = new Set<string>()
  readonly #freeSince = new Map<string, number>()
  readonly #stopLeaving: () => void
  #channel: Channel | null = null
  #waiting: Waiting[] = []
  #running = 0
  #hasAsked = false
  #isClosed = false
  #isTidy = false
  #hasOwn = false

  constructor(opened: IDBDatabase, parts: Parts) {
    this.#opened = opened
    this.#parts = parts
    this.clientId = parts.clientId
    if (parts.lock !== null) this.#locks.push(parts.lock)
    // Another page upgrades or deletes the database: it must not wait for this one.
    opened.onversionchange = () => {
      this.isDurable = false
      opened.close()
    }
    // An open channel would keep the browser from keeping the page.
    this.#stopLeaving = parts.storages.page.onLeave(
      () => this.#leave(false),
      () => this.#listen(),
    )
    this.#listen()
    void this.#seen()
  }

  #listen(): void {
    const { storages, database } = this.#parts
    // A page is shown for the first time, too.
    if (this.#channel !== null) return
    this.#channel = storages.page.channel(database)
    if (this.#channel === null) return
    this.#channel.onmessage = ({ data }) => {
      const { clientIds, isOver } = data as Leaving
      for (const id of clientIds) this.#freeSince.set(id, storages.now() - (isOver ? FREE_FOR : 0))
      this.onWake?.(RELOAD_PAUSE + (isOver ? 0 : FREE_FOR))
    }
  }

  /** Wakes the other tabs: its clients may be taken over, now or if they don't come back. */
  #leave(isOver: boolean): void {
    this.#channel?.postMessage({ clientIds: [this.clientId, ...this.#adopted], isOver } satisfies Leaving)
    this.#channel?.close()
    this.#channel = null
  }

  async load(graphId: string): Promise<StoredGraph> {
    const range = beginningWith(this.#parts.storages.range(), graphId)
    const own = beginningWith(this.#parts.storages.range(), graphId, this.clientId)
    const [checkpoint, tail, operations, history] = await Promise.all([
      this.#read<unknown>('checkpoints', (store) => store.get(graphId)),
      this.#read<unknown[]>('tail', (store) => store.getAll(range)),
      this.#operations(own),
      this.#read<unknown>('histories', (store) => store.get([graphId, this.clientId])),
    ])
    return { ...graphOf(checkpoint, tail), operations: operations ?? [], history: historyOf(history) }
  }

  /** `null` if it can't be read. Each reading is a transaction of its own: a damaged record ends that only (rule P4). */
  async #read<T>(name: string, ask: (store: IDBObjectStore) => IDBRequest<T>): Promise<T | null> {
    try {
      return await answered(ask(this.#opened.transaction(name, 'readonly').objectStore(name)))
    } catch {
      return null
    }
  }

  async #operations(range: IDBKeyRange): Promise<StoredOperation[] | null> {
    const all = await this.#read<unknown[]>('operations', (store) => store.getAll(range))
    if (all !== null) return all.filter(isOperation)
    const keys = (await this.#read('operations', (store) => store.getAllKeys(range))) ?? []
    const each = await Promise.all(keys.map((key) => this.#read<unknown>('operations', (store) => store.get(key))))
    return each.some((found) => found !== null) ? each.filter(isOperation) : null
  }

  write(graphId: string, changes: readonly Change[]): Promise<void> {
    this.#askOnce(changes)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ graphId, clientId: this.clientId, changes, resolve, reject })
      // Commits of others come in crowds: while one transaction runs, they gather for the next.
      if (this.#running === 0 || isUrgent(changes)) this.#writeWaiting()
    })
  }

  #writeWaiting(): void {
    const waiting = this.#waiting
    if (waiting.length === 0) return
    this.#waiting = []
    this.#running += 1
    const end = (): void => {
      this.#running -= 1
      if (this.#running === 0) this.#writeWaiting()
    }
    let written: Promise<void>
    try {
      written = write(this.#opened, this.#parts.storages.range(), this.#parts.durability, waiting)
    } catch (error) {
      written = Promise.reject(error)
    }
    written.then(
      () => {
        for (const { resolve } of waiting) resolve()
        end()
      },
      (error: unknown) => {
        this.isDurable = false
        for (const { reject } of waiting) reject(error)
        end()
      },
    )
  }

  /** The first edit that can't be sent at once is a reason to ask that nothing be evicted. */
  #askOnce(changes: readonly Change[]): void {
    if (this.#hasAsked) return
    if (!changes.some((change) => 'operation' in change && 'put' in change && change.operation.sentAt === null)) return
    this.#hasAsked = true
    this.#parts.storages.askToKeep()
  }

  async adopt(): Promise<readonly Orphan[]> {
    const { database, storages } = this.#parts
    void this.#seen()
    const transaction = this.#opened.transaction(['operations', 'clients'], 'readonly')
    const [keys, clients] = await Promise.all([
      answered(transaction.objectStore('operations').getAllKeys()) as Promise<OperationKey[]>,
      answered(transaction.objectStore('clients').getAll()) as Promise<{ clientId: string; seenAt: number }[]>,
    ])
    const seenAt = new Map(clients.map((client) => [client.clientId, client.seenAt]))
    const ids = new Set(keys.map(([, clientId]) => clientId))
    this.#tidyOnce(
      [...seenAt.keys()].filter(
        (id) => id !== this.clientId && !ids.has(id) && storages.now() - (seenAt.get(id) ?? 0) > KEPT_FOR,
      ),
    )
    const held = await this.#heldLocks()
    const orphans = this.#ownOnce(keys)
    for (const id of ids) {
      if (id === this.clientId || this.#adopted.has(id) || !this.#isFree(id, held, seenAt.get(id) ?? 0)) continue
      // What was taken over before is not lost with one that can't be.
      const lock = await tryLock(storages.page.locks, lockName(database, id)).catch(() => null)
      if (lock === null) continue
      try {
        const queues = await this.#queuesOf(id)
        // Closed meanwhile: nobody here would send it, nor let go of the lock.
        if (this.#isClosed) throw new Error('the device is closed')
        orphans.push(...queues)
        this.#locks.push(lock)
        this.#adopted.add(id)
      } catch {
        // It is tried again, here or by another tab.
        lock.release()
      }
    }
    return orphans
  }

  /** What this tab left before it was loaded again is taken up with the graphs, also with those that nobody opens. */
  #ownOnce(keys: readonly OperationKey[]): Orphan[] {
    if (this.#hasOwn) return []
    this.#hasOwn = true
    return graphsOf(this.clientId, keys).map((graphId) => ({ graphId, clientId: this.clientId, operations: [] }))
  }

  /** Deletes what is kept of clients that are long gone and left nothing to send. */
  #tidyOnce(gone: readonly string[]): void {
    if (this.#isTidy) return
    this.#isTidy = true
    if (gone.length === 0) return
    const transaction = this.#opened.transaction(['clients', 'histories'], 'readwrite', { durability: 'relaxed' })
    const histories = transaction.objectStore('histories')
    const request = histories.getAllKeys()
    request.onsuccess = () => {
      for (const key of request.result) if (gone.includes((key as string[])[1] as string)) histories.delete(key)
      for (const id of gone) transaction.objectStore('clients').delete(id)
    }
  }

  /** Names of the locks that somebody has; `null` without locks. */
  async #heldLocks(): Promise<Set<string> | null> {
    const { locks } = this.#parts.storages.page
    if (locks === null) return null
    const { held = [] } = await locks.query()
    return new Set(held.map((lock) => lock.name ?? ''))
  }

  /** A tab that reloads has no lock for a moment: it is not gone yet. */
  #isFree(clientId: string, held: Set<string> | null, seenAt: number): boolean {
    const now = this.#parts.storages.now()
    if (held === null) return now - seenAt > UNSEEN_FOR
    if (held.has(lockName(this.#parts.database, clientId))) {
      this.#freeSince.delete(clientId)
      return false
    }
    const since = this.#freeSince.get(clientId) ?? now
    this.#freeSince.set(clientId, since)
    return now - since >= FREE_FOR
  }

  /** What can be read of them, as of a graph that is loaded (rule P4). Throws if nothing can. */
  async #queuesOf(clientId: string): Promise<Orphan[]> {
    // Under the lock: it may have written more since its queue was seen.
    const keys = (await this.#read('operations', (store) => store.getAllKeys())) ?? []
    const orphans: Orphan[] = []
    for (const graphId of graphsOf(clientId, keys as OperationKey[])) {
      const operations = await this.#operations(beginningWith(this.#parts.storages.range(), graphId, clientId))
      if (operations !== null) orphans.push({ graphId, clientId, operations })
    }
    if (orphans.length === 0) throw new Error('nothing can be read')
    return orphans
  }

  async #seen(): Promise<void> {
    try {
      const transaction = this.#opened.transaction('clients', 'readwrite', { durability: 'relaxed' })
      transaction.objectStore('clients').put({ clientId: this.clientId, seenAt: this.#parts.storages.now() })
      await ended(transaction)
    } catch {
      // Only tabs without locks read it.
    }
  }

  async close(): Promise<void> {
    while (this.#running > 0 || this.#waiting.length > 0) {
      await new Promise<void>((resolve) => {
        this.#waiting.push({ graphId: '', clientId: this.clientId, changes: [], resolve, reject: () => resolve() })
        if (this.#running === 0) this.#writeWaiting()
      })
    }
    this.#isClosed = true
    this.#opened.close()
    this.#stopLeaving()
    for (const lock of this.#locks) lock.release()
    this.#leave(true)
    this.#parts.onClose()
  }
}

type OperationKey = [graphId: string, clientId: string, seq: number]

function graphsOf(clientId: string, keys: readonly OperationKey[]): string[] {
  return [...new Set(keys.flatMap(([graphId, id]) => (id === clientId ? [graphId] : [])))]
}
