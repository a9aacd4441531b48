/**
 * Queues and copies of graphs in IndexedDB: edits survive a reload, a crash of the browser and days without a network
 * (rules P1 to P7). Where there is no IndexedDB, all is in memory, and `status.persisted` says so.
 */

import type { Persistence } from './api.ts'
import { type IndexedDbOptions, openable } from './indexeddb/device.ts'
import { page } from './indexeddb/tabs.ts'

export type { IndexedDbOptions } from './indexeddb/device.ts'

/**
 * For the option `persist` of `createClient`.
 *
 * ```ts
 * createClient({ url, persist: indexedDb({ name: 'flows', user: me.id }) })
 * ```
 */
export function indexedDb(options: IndexedDbOptions): Persistence {
  return openable(options, {
    factory: () => globalThis.indexedDB,
    range: () => globalThis.IDBKeyRange,
    page: page(),
    now: () => Date.now(),
    askToKeep: () => {
      if (typeof navigator !== 'undefined') void navigator.storage?.persist?.().catch(() => {})
    },
  })
}
