/** What keeps queues and copies of graphs. `indexeddb.ts` is one; without any, all is in memory. */

import type { Persistence } from './api.ts'
import type { Change, StoredGraph } from './machine/effects.ts'
import type { StoredOperation } from './machine/operation.ts'

/** A queue of a client that is gone, now held by this one (rule P7). */
export interface Orphan {
  readonly graphId: string
  readonly clientId: string
  readonly operations: readonly StoredOperation[]
}

/** An opened store, for one user and one tab. */
export interface Device {
  /** The client of this tab. Nobody else has it while the tab lives. */
  readonly clientId: string
  /** Whether what is written outlives the program. May turn `false`. */
  readonly isDurable: boolean
  load(graphId: string): Promise<StoredGraph>
  /** Writes changes in one transaction; calls are in order. Rejects if nothing was written. */
  write(graphId: string, changes: readonly Change[]): Promise<void>
  /** Called when another tab goes away: a look for its queue is due after so many milliseconds. */
  onWake: ((afterMs: number) => void) | null
  /** Takes over queues whose clients are gone. The first time also graphs with a queue of this client, without operations. */
  adopt(): Promise<readonly Orphan[]>
  close(): Promise<void>
}

/** A way to open one. `clientId` is a proposal. */
export interface DeviceSource extends Persistence {
  /** The id that this tab had before a reload, if nobody else has it. */
  proposeClientId(): string | null
  open(clientId: string): Promise<Device>
  /** Deletes everything of this user, whether it could be opened or not. */
  forget(): Promise<void>
}
