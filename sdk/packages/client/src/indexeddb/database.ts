/** As much of IndexedDB as is used: opening, and transactions as promises (rules P2, P3, P5). */

/** Names of the stores, and their keys. */
export const STORES: { readonly [name: string]: string | string[] } = {
  /** The version and hash up to which a graph is kept. */
  heads: 'graphId',
  checkpoints: 'graphId',
  tail: ['graphId', 'version'],
  operations: ['graphId', 'clientId', 'seq'],
  histories: ['graphId', 'clientId'],
  clients: 'clientId',
}

export const ALL: string[] = Object.keys(STORES)

const VERSION = 1

/** Opens the database. Rejects where there is none: private windows, a full disk, another version in use. */
export function openDatabase(factory: IDBFactory, name: string): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = factory.open(name, VERSION)
    request.onupgradeneeded = () => {
      for (const [store, keyPath] of Object.entries(STORES)) request.result.createObjectStore(store, { keyPath })
    }
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
    request.onblocked = () => reject(new Error('another page has the database in an older version'))
  })
}

/** Resolves when the transaction is done, rejects when it was rolled back. */
export function ended(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve()
    transaction.onabort = () => reject(transaction.error ?? new Error('the transaction was rolled back'))
  })
}

export function answered<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}

/** All keys that begin with these parts. */
export function beginningWith(range: typeof IDBKeyRange, ...parts: string[]): IDBKeyRange {
  return range.bound(parts, [...parts, []])
}
