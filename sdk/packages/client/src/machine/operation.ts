/** Operations that have not ended: what was asked for, when, and on what (rules A1, A4, W5). */

import type { JsonObject, OnConflict } from '../api.ts'
import { type Action, type Footprint, overlaps, touches, type Written } from '../model/index.ts'
import type { Queue } from './pending.ts'

/** A version of a graph's history, with the hash that tells which history it is (rule V4). */
export interface Point {
  readonly version: number
  readonly hash: string
}

/** The empty graph, which every history has. */
export const ORIGIN: Point = { version: 0, hash: '0'.repeat(64) }

/** An operation that an `UNDO` takes back. Its version is `null` until it has ended. */
export interface Target {
  readonly operationId: string
  readonly version: number | null
}

/** What an operation does: an edit, or taking back what others did. */
export type Intent = Action | { readonly type: 'UNDO'; readonly targets: readonly Target[] }

/** How an operation came about: by an edit, by Ctrl+Z, or by taking that back. */
export type Role = 'edit' | 'undo' | 'redo'

/** An operation as it is kept on a device. It is plain data. */
export interface StoredOperation extends Footprint {
  readonly operationId: string
  /** The client that made it. An adopted queue keeps its own (rule P7). */
  readonly clientId: string
  /** The place in the order of making. */
  readonly seq: number
  readonly intent: Intent
  readonly onConflict?: OnConflict | undefined
  readonly role: Role
  /** What its author saw (rule A4). Only a replaced history moves it (rule D8). */
  readonly base: Point
  /** Operations that this one builds on, without those that they build on themselves. */
  readonly dependsOn: readonly string[]
  readonly label?: string | undefined
  readonly undoGroup?: string | undefined
  /** Unix milliseconds. */
  readonly madeAt: number
  /** When it was sent first; `null` while it was never sent. */
  readonly sentAt: number | null
  /** Whether its commit may be among those that this client never saw: a state came in their place. */
  readonly isUnseen?: true | undefined
}

/**
 * `waiting`: nothing is known of its outcome. `accepted`: it is committed, and the commit has not arrived. `asking`: it
 * has ended, and it is sent again to learn how.
 */
export type Progress = 'waiting' | 'accepted' | 'asking'

/** An operation that has not ended, with what this connection knows of it. */
export interface Pending {
  stored: StoredOperation
  progress: Progress
  /** Whether this connection sent it and waits for the answer. */
  isInFlight: boolean
  /** Whether an earlier life of this client may have sent it: that it was sent is written after it is sent. */
  maybeSent: boolean
  /** How a `SYNC` said that it ended, while the answer is asked for. */
  ended: {
    readonly status: 'completed' | 'conflict' | 'failed'
    readonly version: number
    readonly code?: string
  } | null
  /** Not sent before this time, Unix milliseconds. */
  retryAt: number
  attempts: number
  /** The version of its commit, once it is accepted. */
  acceptedAt: number
  /** What the answer said, if there was one before the commit; `unchanged` where no commit came with its version. */
  isAnswered: boolean
  outcome: 'applied' | 'merged' | 'unchanged'
  result: JsonObject | undefined
  /** How often the history was replaced before it was made. */
  era: number
  /** How often it was moved to an older point. */
  moves: number
  /** Whether a `SYNC` said that it was refused, while it is asked why. */
  isRefused: boolean
  /** The operation whose refusal will be the reason for the refusal of this one. */
  cause: string | null
  /** The refused operation that this one builds on: the server is told, since it may have this one already. */
  refusedBelow: string | undefined
  /** Whether it may have been committed so long ago that the server forgot it (rule A10). */
  isDubious: boolean
}

export function pendingOf(stored: StoredOperation, era: number): Pending {
  return {
    stored,
    progress: 'waiting',
    isInFlight: false,
    maybeSent: false,
    ended: null,
    retryAt: 0,
    attempts: 0,
    acceptedAt: 0,
    isAnswered: false,
    outcome: 'applied',
    result: undefined,
    era,
    moves: 0,
    isRefused: false,
    cause: null,
    refusedBelow: undefined,
    isDubious: false,
  }
}

/** The oldest point that the author of these writes can have seen: writes of pending operations hide what others did. */
export function baseFor(writes: readonly Written[], seen: Point, queue: Queue): Point {
  let base = seen
  for (const { stored, progress } of queue.writersOf(writes)) {
    if (progress !== 'asking' && stored.base.version < base.version && overlaps(stored.writes, writes))
      base = stored.base
  }
  return base
}

/**
 * The operations that one with this footprint builds on: they write what it writes, or make what it needs. Left out are
 * those that another of them builds on, and those `without` which it is made.
 */
export function dependenciesOf(
  intent: Intent,
  footprint: Footprint,
  queue: Queue,
  without: ReadonlySet<string>,
): string[] {
  const targets = intent.type === 'UNDO' ? null : targetsOf(intent)
  const writes = footprint.writes.filter((write) => write.path !== '' || targets === null || targets.has(write.id))
  const found: string[] = []
  const covered = new Set<string>()
  const candidates = queue.writersOf([...footprint.writes, ...footprint.reads])
  for (let at = candidates.length - 1; at >= 0; at--) {
    const { stored, progress } = candidates[at] as Pending
    if (progress === 'asking' || covered.has(stored.operationId) || without.has(stored.operationId)) continue
    if (!overlaps(stored.writes, writes) && !touches(stored.writes.filter(isWhole), footprint.reads)) continue
    found.push(stored.operationId)
    cover(stored, queue, covered)
  }
  return found.reverse()
}

/** The operations that will be refused, since what they build on was. */
export function lostIn(queue: Queue): ReadonlySet<string> {
  const lost = new Set<string>()
  for (const { stored, cause } of queue.all) {
    if (cause !== null || stored.dependsOn.some((id) => lost.has(id))) lost.add(stored.operationId)
  }
  return lost
}

/** Adds all that an operation builds on, however far back. */
function cover(stored: StoredOperation, queue: Queue, covered: Set<string>): void {
  const way = [...stored.dependsOn]
  for (let id = way.pop(); id !== undefined; id = way.pop()) {
    if (covered.has(id)) continue
    covered.add(id)
    way.push(...(queue.find(id)?.stored.dependsOn ?? []))
  }
}

function isWhole(write: Written): boolean {
  return write.path === ''
}

/** The entities that an action names itself: what a deletion takes along is not among them. */
function targetsOf(action: Action): Set<string> {
  const ids = new Set<string>()
  for (const command of action.type === 'BATCH' ? action.operations : [action]) {
    const { id, nodeId, edgeId } = command.payload as { id?: string; nodeId?: string; edgeId?: string }
    for (const named of [id, nodeId, edgeId]) if (named !== undefined) ids.add(named)
  }
  return ids
}

/** The frame that sends an operation (rule W5). */
export function frameOf(graphId: string, { stored }: Pending, after: string | undefined): JsonObject {
  const { operationId, clientId, base, onConflict, intent } = stored
  const envelope: JsonObject = { graphId, clientId, clientVersion: base.version, clientHash: base.hash }
  if (after !== undefined) envelope.after = after
  if (onConflict !== undefined) envelope.onConflict = onConflict
  if (intent.type === 'BATCH') {
    const { operations, ifMissing } = intent as unknown as JsonObject & { operations: JsonObject[]; ifMissing?: string }
    if (ifMissing !== undefined) envelope.ifMissing = ifMissing
    return { type: 'BATCH', batchId: operationId, ...envelope, atomic: true, operations }
  }
  const command =
    intent.type === 'UNDO'
      ? { type: 'UNDO', payload: { operations: intent.targets as unknown as JsonObject[] } }
      : (intent as unknown as JsonObject)
  return { type: 'COMMAND', operationId, ...envelope, command }
}
