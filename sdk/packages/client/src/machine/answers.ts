/** Answers to operations: `ACK`, `REVERT` and `ERROR` (rules A6 and A7; rules W5 and D8). */

import type { Outcome } from '../api.ts'
import type { Ack, Problem, Revert } from './frames.ts'
import { ORIGIN, type Pending, type Point } from './operation.ts'
import { find, finish, flush, outcomeOf, refuse, refuseWithCause, restore, resultOf } from './queue.ts'
import { type MachineState, type Out, redraw } from './state.ts'

/** When to try again what can't be done now, where the server does not say. Milliseconds. */
const RETRY_AFTER_MS = 1_000
/** Codes of an `ERROR` after which the same `SUBSCRIBE` may succeed. */
const TEMPORARY = ['STORE_UNAVAILABLE', 'OVERLOADED', 'VERSION_NOT_REACHED', 'RATE_LIMITED']

export function acknowledged(m: MachineState, out: Out, frame: Ack): void {
  const { operationId, version, outcome } = frame
  const owed = m.owed.get(operationId)
  if (owed !== undefined) {
    pay(m, out, operationId, outcomeOf(outcome, owed.version, resultOf(frame)))
    return
  }
  const pending = find(m, operationId)
  if (pending === undefined) return
  pending.isInFlight = false
  if (outcome === 'unchanged' || version <= (m.point?.version ?? 0)) {
    if (pending.progress !== 'asking') redraw(m, out)
    finish(m, out, pending, outcomeOf(outcome, version, resultOf(frame)))
  } else {
    // What it did stays on top until its commit arrives: dropped earlier, the picture would flicker.
    Object.assign(pending, { progress: 'accepted', acceptedAt: version, isAnswered: true, outcome })
    pending.result = resultOf(frame)
  }
  flush(m, out)
}

/** Tells the outcome of what was committed before. A graph that nobody holds has waited for it. */
function pay(m: MachineState, out: Out, operationId: string, outcome: Outcome): void {
  m.owed.delete(operationId)
  out.say({ type: 'settled', operationId, outcome })
  out.say({ type: 'status' })
}

export function reverted(m: MachineState, out: Out, frame: Revert): void {
  const owed = m.owed.get(frame.operationId)
  if (owed !== undefined && !frame.temporary) {
    // It was committed, in a history that is no more.
    const { outcome, version } = owed
    pay(m, out, frame.operationId, { outcome, version })
    return
  }
  const pending = find(m, frame.operationId)
  if (pending === undefined) return
  pending.isInFlight = false
  if (frame.temporary) {
    if (pending.cause !== null) refuseWithCause(m, out, pending)
    else pending.retryAt = out.now + (frame.retryAfterMs ?? RETRY_AFTER_MS)
  } else if (frame.code === 'HISTORY_REPLACED') {
    if (!moveBack(m, out, pending, frame.resolution?.currentVersion ?? 0)) {
      refuse(m, out, pending, { code: 'history_replaced', message: frame.message })
    }
  } else {
    const { code, message, resolution } = frame
    const cause = code === 'DEPENDENCY_REFUSED' ? (pending.cause ?? causeOf(m, pending)) : undefined
    refuse(m, out, pending, { code, message, conflicts: resolution?.conflicts, cause })
  }
  flush(m, out)
}

/** The operation that it builds on, if that was refused without this client knowing. */
function causeOf(m: MachineState, { stored }: Pending): string | undefined {
  return stored.dependsOn.find((id) => find(m, id) === undefined)
}

/**
 * Its history is no more. It is sent again from an older point that its author knew, ever further back, until today's
 * history has that too; then it is judged against all that others did since (rule D8). `false` if it can't be.
 */
function moveBack(m: MachineState, out: Out, pending: Pending, currentVersion: number): boolean {
  const { base, intent } = pending.stored
  // Versions that it names are of the history that is no more.
  if (intent.type === 'UNDO' || base.version === 0) return false
  const older = m.points.filter(
    ({ era, point }) => era <= pending.era && point.version < base.version && point.version <= currentVersion,
  )
  older.sort((a, b) => a.point.version - b.point.version)
  const skipped = 2 ** Math.min(pending.moves, 30) - 1
  const found: Point = older.at(-1 - Math.min(skipped, older.length - 1))?.point ?? ORIGIN
  pending.moves += 1
  pending.progress = 'waiting'
  restore(m, out, pending, { base: found })
  return true
}

/** An `ERROR`: about an operation that can't be read, or in place of a `SYNC` (rules W2, W9). */
export function complained(m: MachineState, out: Out, frame: Problem): void {
  if (frame.operationId !== undefined) {
    const pending = find(m, frame.operationId)
    if (pending === undefined) return
    refuse(m, out, pending, { code: frame.code, message: frame.message })
    flush(m, out)
    return
  }
  if (frame.graphId !== m.graphId) return
  if (frame.code === 'FORBIDDEN' && m.phase === 'live') {
    // A renewed token no longer grants the right to follow (rule O1).
    giveUp(m, out, frame.code)
  } else if (m.phase === 'subscribing') {
    if (TEMPORARY.includes(frame.code)) m.subscribeAt = out.now + (frame.retryAfterMs ?? RETRY_AFTER_MS)
    else giveUp(m, out, frame.code)
  }
}

function giveUp(m: MachineState, out: Out, code: string): void {
  m.phase = 'refused'
  m.refusal = code
  m.access = null
  out.say({ type: 'status' })
}
