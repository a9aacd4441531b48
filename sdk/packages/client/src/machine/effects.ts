/** What the machine of a graph is told, and what it says is to be done. Both are plain data. */

import type { Conflict, JsonObject, OnConflict, Outcome } from '../api.ts'
import type { Action, GraphEvent, StateJson } from '../model/index.ts'
import type { GraphFrame, Limits, PresenceFrame } from './frames.ts'
import type { Point, StoredOperation } from './operation.ts'
import type { StoredHistory } from './undo_stack.ts'

/** One commit, as far as folding it needs. */
export interface StoredCommit extends Point {
  readonly timestamp: number
  readonly events: readonly GraphEvent[]
}

/** What a device keeps of a graph: a state, the commits after it, and the operations that have not ended. */
export interface StoredGraph {
  readonly checkpoint: { readonly point: Point; readonly state: StateJson } | null
  readonly tail: readonly StoredCommit[]
  readonly operations: readonly StoredOperation[]
  readonly history: StoredHistory | null
}

export interface ActOptions {
  readonly onConflict?: OnConflict | undefined
  readonly after?: string | undefined
  readonly label?: string | undefined
  readonly undoGroup?: string | undefined
  /** The point that the user saw, if it is not today's: an older one, or one of a history that is no more. */
  readonly since?: Point | undefined
}

export type Input =
  /** What the device keeps. Comes once, before the first connection; edits may come earlier. */
  | { readonly type: 'loaded'; readonly stored: StoredGraph }
  /** Operations of a client that is gone (rule P7). */
  | { readonly type: 'adopted'; readonly operations: readonly StoredOperation[] }
  | { readonly type: 'connected'; readonly limits: Limits }
  | { readonly type: 'disconnected' }
  | { readonly type: 'frame'; readonly frame: GraphFrame }
  | { readonly type: 'act'; readonly operationId: string; readonly action: Action; readonly options: ActOptions }
  /** Makes a refused operation again, under a new id. */
  | {
      readonly type: 'again'
      readonly operationId: string
      readonly refused: StoredOperation
      readonly options: ActOptions
    }
  /** Takes back the latest step, or puts back the latest that was taken back. As many ids as `idsNeeded` says. */
  | { readonly type: 'undo' | 'redo'; readonly operationIds: readonly string[] }
  /** The user did this otherwise than by `act`, and it has its commit: it is the latest step from now on. */
  | { readonly type: 'did'; readonly operationId: string; readonly version: number; readonly label: string }
  /** How undo is predicted is there from now on: see `provideUndo`. */
  | { readonly type: 'learned' }
  /** Time has passed: see `wakeAt` of the machine. */
  | { readonly type: 'tick' }

/** Why an operation is refused. */
export interface RefusalData {
  readonly operationId: string
  readonly code: string
  readonly message: string
  readonly conflicts: readonly Conflict[]
  readonly cause?: string | undefined
  /** What was asked for. */
  readonly operation: StoredOperation
}

/** A change of what the device keeps. Those of one step are one transaction (rule P2). */
export type Change =
  | { readonly put: 'operation'; readonly operation: StoredOperation }
  | { readonly drop: 'operation'; readonly operation: StoredOperation }
  | { readonly put: 'commit'; readonly commit: StoredCommit; readonly previous: Point }
  /** Replaces state and commits. `isReset`: also those of a later version, since they are of another history. */
  | { readonly put: 'checkpoint'; readonly point: Point; readonly state: StateJson; readonly isReset: boolean }
  | { readonly put: 'history'; readonly history: StoredHistory }

export type Effect =
  | { readonly type: 'send'; readonly frame: JsonObject }
  | { readonly type: 'store'; readonly changes: readonly Change[] }
  /** The picture may be another one. `isLocal`: by an edit of this client, to be shown before the call returns. */
  | { readonly type: 'changed'; readonly isLocal: boolean }
  | { readonly type: 'status' }
  | { readonly type: 'history' }
  | { readonly type: 'settled'; readonly operationId: string; readonly outcome: Outcome }
  | { readonly type: 'refused'; readonly refusal: RefusalData }
  | { readonly type: 'replaced'; readonly discarded: readonly string[] }
  | { readonly type: 'committed'; readonly commit: CommitNews }
  | { readonly type: 'presence'; readonly frame: PresenceFrame }
  /** The connection can't go on. The point stays good. */
  | { readonly type: 'reconnect'; readonly reason: string }

export interface CommitNews {
  readonly version: number
  /** Null if it was erased. */
  readonly operationId: string | null
  readonly userId: string
  readonly clientId: string
  readonly types: readonly string[]
}
