/** The frames of the server (rules W), as far as a client of one graph reads them. */

import type { Access, Json, JsonObject } from '../api.ts'
import type { GraphEvent, StateJson } from '../model/index.ts'

export interface Limits {
  readonly messageBytes: number
  readonly operationTtlMs: number
}

export interface Welcome {
  readonly type: 'WELCOME'
  readonly connectionId: string
  readonly heartbeatMs: number
  readonly limits: Limits
  readonly serverTime: number
}

export interface Settled {
  readonly operationId: string
  readonly status: 'completed' | 'conflict' | 'failed' | 'unknown'
  readonly version?: number
  readonly code?: string
}

export interface Sync {
  readonly type: 'SYNC'
  readonly graphId: string
  readonly version: number
  readonly hash: string
  readonly status: 'in_sync' | 'replay' | 'snapshot'
  readonly access: Access
  readonly reset?: boolean
  readonly settled: readonly Settled[]
  readonly state?: StateJson
}

export interface StateUpdate {
  readonly type: 'STATE_UPDATE'
  readonly graphId: string
  readonly version: number
  readonly hash: string
  /** Null if it was erased. */
  readonly operationId: string | null
  readonly userId: string
  readonly clientId: string
  readonly timestamp: number
  readonly commandType: string
  readonly outcome: 'applied' | 'merged'
  readonly events: readonly GraphEvent[]
}

export interface Ack {
  readonly type: 'ACK'
  readonly graphId: string
  readonly operationId: string
  readonly version: number
  readonly hash: string
  readonly outcome: 'applied' | 'merged' | 'unchanged'
  readonly result?: JsonObject
  readonly skipped?: Json
  readonly duplicate?: boolean
}

/** An entry of a `resolution` (rule D7). */
export interface Disputed {
  readonly entity: 'node' | 'edge' | 'viewport' | 'graph'
  readonly id: string
  readonly path: string
  readonly yours?: Json
  readonly current?: Json
  readonly version?: number
  readonly userId?: string
  readonly operationId?: string
}

export interface Revert {
  readonly type: 'REVERT'
  readonly graphId: string
  readonly operationId: string
  readonly code: string
  readonly message: string
  readonly temporary: boolean
  readonly retryAfterMs?: number
  readonly version: number
  readonly resolution?: { readonly currentVersion: number; readonly conflicts: readonly Disputed[] }
  readonly index?: number
}

export interface Problem {
  readonly type: 'ERROR'
  readonly code: string
  readonly message: string
  readonly graphId?: string
  readonly operationId?: string
  readonly retryAfterMs?: number
}

export interface PresenceFrame {
  readonly type: 'PRESENCE'
  readonly graphId: string
  readonly clientId: string
  readonly userId: string
  readonly slot?: string
  readonly state: Json
}

export interface AccessFrame {
  readonly type: 'ACCESS'
  readonly graphId: string
  readonly access: Access
}

/** Frames about a graph. */
export type GraphFrame = Sync | StateUpdate | Ack | Revert | PresenceFrame | AccessFrame | Problem

/** Frames about the connection. */
export type ConnectionFrame =
  | Welcome
  | { readonly type: 'AUTHENTICATED'; readonly userId: string; readonly expiresAt: number | null }
  | { readonly type: 'PONG'; readonly versions: { readonly [graphId: string]: number } }
  | { readonly type: 'GOODBYE'; readonly reconnectAfterMs: number }

export type ServerFrame = GraphFrame | ConnectionFrame
