/** Commands as they are sent (rules C and U), for what a graph contains. */

import type { JsonObject, OnConflict, Position } from '../api.ts'
import type { Viewport } from './event.ts'

export type Command =
  | { type: 'CREATE_NODE'; payload: JsonObject & { id: string } }
  | { type: 'UPDATE_NODE'; payload: { nodeId: string; updates: JsonObject } }
  | { type: 'UPDATE_NODE_POSITION'; payload: { nodeId: string; position: Position } }
  | { type: 'DELETE_NODE'; payload: { nodeId: string } }
  | { type: 'CREATE_EDGE'; payload: JsonObject & { id: string; source: string; target: string } }
  | { type: 'UPDATE_EDGE'; payload: { edgeId: string; updates: JsonObject } }
  | { type: 'DELETE_EDGE'; payload: { edgeId: string } }
  | { type: 'SET_VIEWPORT'; payload: Viewport }
  | {
      type: 'BATCH_UPDATE'
      payload: { nodes?: readonly JsonObject[] | JsonObject; edges?: readonly JsonObject[]; viewport?: Viewport }
    }
  | { type: 'UPDATE_GRAPH'; payload: { updates: JsonObject } }

/** An `UNDO`. Its prediction needs more than the state: see undo/. */
export interface UndoCommand {
  type: 'UNDO'
  payload: { operations: readonly { operationId: string; version: number }[] }
}

/** A member of an atomic batch. */
export type Member = Command & { clientVersion?: number; onConflict?: OnConflict }

/** An atomic batch: one commit, all or nothing. */
export interface Batch {
  type: 'BATCH'
  operations: readonly Member[]
  /** What happens to members whose target is gone (rule H11). */
  ifMissing?: 'refuse' | 'skip'
}

/** The content of one operation, apart from `UNDO`. */
export type Action = Command | Batch

/** What may be in a graph, from `WELCOME.limits` and rule O3. Sizes are bytes as JSON. */
export interface Limits {
  readonly entityBytes: number
  readonly nodes: number
  readonly edges: number
}

/** The server's defaults (rule O3). */
export const DEFAULT_LIMITS: Limits = { entityBytes: 256 << 10, nodes: 100_000, edges: 200_000 }

/** All attributes of a graph, at most, in bytes as JSON (rule L1). */
export const ATTRIBUTES_BYTES_MAX: number = 16 << 10
