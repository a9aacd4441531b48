/** The operations that have not ended: when they are sent, and how they end (rules A6 to A8, U13). */

import type { JsonObject, Outcome } from '../api.ts'
import { decide } from '../model/index.ts'
import { conflictsOf } from './conflicts.ts'
import type { RefusalData } from './effects.ts'
import type { Disputed } from './frames.ts'
import { frameOf, type Pending, type StoredOperation, type Target } from './operation.ts'
import { keepHistory, type MachineState, type Out, redraw } from './state.ts'

/** Operations of one graph that wait for an answer. The server stops reading at 64 on a connection (rule W5). */
const WINDOW = 32

export function find(m: MachineState, operationId: string): Pending | undefined {
  return m.queue.find(operationId)
}

/** Sends what may be sent now, in the order of making. */
export function flush(m: MachineState, out: Out): void {
  if (m.phase !== 'live') return
  let room = WINDOW - m.queue.all.filter((pending) => pending.isInFlight).length
  for (const pending of [...m.queue.all]) {
    if (pending.isInFlight || pending.progress === 'accepted') continue
    // What is newer waits behind what was refused for now (rule A7), or may have been forgotten (rule A10).
    if (room <= 0 || pending.retryAt > out.now) return
    if (pending.isDubious && (m.point?.version ?? 0) < m.replayUntil) return
    if (pending.isDubious && pending.stored.isUnseen) {
      guess(m, out, pending)
      continue
    }
    if (!m.queue.has(pending) || isHeld(m, pending)) continue
    if (exceeds(pending, m.messageBytesMax)) {
      refuse(m, out, pending, { code: 'TOO_LARGE', message: 'The operation is longer than a message may be' })
      continue
    }
    send(m, out, pending)
    room -= 1
  }
}

/** It was sent too long ago, and no commit tells what became of it: what stands does, or it is given up (rule A10). */
export function guess(m: MachineState, out: Out, pending: Pending): void {
  const { intent } = pending.stored
  const decision = intent.type === 'UNDO' ? null : decide(m.confirmed, intent)
  const stands = decision?.ok ? decision.events.length === 0 : decision?.code === 'ID_TAKEN'
  if (stands) finish(m, out, pending, { outcome: 'applied', version: m.point?.version ?? 0 })
  else refuse(m, out, pending, { code: 'expired', message: 'It was sent too long ago to tell what became of it' })
  redraw(m, out)
}

/** Whether it has to wait for what it builds on: an `UNDO` for versions, others for all but one operation (rule W5). */
function isHeld(m: MachineState, { stored, progress }: Pending): boolean {
  if (progress === 'asking') return false
  if (stored.intent.type === 'UNDO' && stored.intent.targets.some((target) => target.version === null)) return true
  const unended = unendedOf(m, stored)
  return unended.length > 1 || unended.some((pending) => !pending.isInFlight)
}

function unendedOf(m: MachineState, stored: StoredOperation): Pending[] {
  if (stored.dependsOn.length === 0) return []
  return m.queue.all.filter((pending) => isUnended(pending) && stored.dependsOn.includes(pending.stored.operationId))
}

/** One that is known to be refused counts until it is known why: what builds on it is refused with it. */
function isUnended({ progress, isRefused }: Pending): boolean {
  return progress === 'waiting' || (progress === 'asking' && isRefused)
}

function send(m: MachineState, out: Out, pending: Pending): void {
  pending.isInFlight = true
  pending.attempts += 1
  if (pending.stored.sentAt === null) restore(m, out, pending, { sentAt: out.now })
  const after = pending.refusedBelow ?? unendedOf(m, pending.stored).at(-1)?.stored.operationId
  out.say({ type: 'send', frame: frameOf(m.graphId, pending, after) })
}

/** Bytes of the envelope, at most. */
const ENVELOPE_BYTES = 4_096

function exceeds({ stored }: Pending, bytesMax: number): boolean {
  if (bytesMax === Number.POSITIVE_INFINITY) return false
  const text = JSON.stringify(stored.intent)
  // A UTF-16 unit has at most three bytes.
  if (text.length * 3 + ENVELOPE_BYTES <= bytesMax) return false
  return new TextEncoder().encode(text).length + ENVELOPE_BYTES > bytesMax
}

/** Changes what is kept of an operation. */
export function restore(m: MachineState, out: Out, pending: Pending, change: Partial<StoredOperation>): void {
  pending.stored = { ...pending.stored, ...change }
  if (out.making !== pending) out.keep(m, { put: 'operation', operation: pending.stored })
}

/** Takes it out of the queue. What is shown changes with it, unless the caller knows better. */
export function remove(m: MachineState, out: Out, pending: Pending): void {
  m.queue.remove(pending)
  m.predictions.delete(pending.stored.operationId)
  out.keep(m, { drop: 'operation', operation: pending.stored })
  out.say({ type: 'status' })
}

/** It ended well. */
export function finish(m: MachineState, out: Out, pending: Pending, outcome: Outcome): void {
  const { operationId } = pending.stored
  remove(m, out, pending)
  retarget(m, out, operationId, outcome.outcome === 'unchanged' ? null : outcome.version)
  out.say({ type: 'settled', operationId, outcome })
}

/** It made no commit and never will, and nobody has to be told: it was taken back before it was sent. */
export function cancel(m: MachineState, out: Out, pending: Pending): void {
  finish(m, out, pending, { outcome: 'unchanged', version: m.point?.version ?? 0 })
  redraw(m, out)
}

export interface Reason {
  readonly code: string
  readonly message: string
  readonly conflicts?: readonly Disputed[] | undefined
  readonly cause?: string | undefined
}

/** It is refused for good, and with it what builds on it and is not sent (rule A7). */
export function refuse(m: MachineState, out: Out, pending: Pending, reason: Reason): void {
  const { stored } = pending
  remove(m, out, pending)
  redraw(m, out)
  const cause = reason.cause ?? pending.cause ?? undefined
  const refusal: RefusalData = {
    operationId: stored.operationId,
    code: reason.code,
    message: reason.message,
    conflicts: conflictsOf(reason.conflicts ?? []),
    cause,
    operation: stored,
  }
  out.say({ type: 'refused', refusal })
  retarget(m, out, stored.operationId, null)
  const root = cause ?? stored.operationId
  for (const other of [...m.queue.all]) {
    if (!other.stored.dependsOn.includes(stored.operationId) || !m.queue.has(other)) continue
    other.cause ??= root
    other.refusedBelow ??= stored.operationId
    // The server may have what was sent: it says what became of it.
    const isHere = other.stored.sentAt === null && !other.maybeSent
    if (isHere && other.progress === 'waiting') refuseWithCause(m, out, other)
  }
}

/** What it builds on was refused. */
export function refuseWithCause(m: MachineState, out: Out, pending: Pending): void {
  const message = 'An operation that this one builds on was refused'
  refuse(m, out, pending, { code: 'DEPENDENCY_REFUSED', message })
}

/** Tells steps of undo, and pending undos, which version an operation has; `null`: none. */
export function retarget(m: MachineState, out: Out, operationId: string, version: number | null): void {
  const isKnown = version === null ? m.undo.gone(operationId) : m.undo.reached(operationId, version)
  if (isKnown) keepHistory(m, out)
  if (version === null) m.past.delete(operationId)
  for (const pending of [...m.queue.all]) {
    const { intent } = pending.stored
    if (intent.type !== 'UNDO' || pending.stored.sentAt !== null || !m.queue.has(pending)) continue
    if (!intent.targets.some((target) => target.operationId === operationId)) continue
    const targets = intent.targets.flatMap((target): Target[] => {
      if (target.operationId !== operationId) return [target]
      return version === null ? [] : [{ operationId, version }]
    })
    restore(m, out, pending, { intent: { type: 'UNDO', targets } })
    if (targets.length === 0) cancel(m, out, pending)
  }
}

/** The result of an answer, with what an atomic batch left out. */
export function resultOf(frame: { result?: JsonObject; skipped?: unknown }): JsonObject | undefined {
  if (frame.skipped === undefined) return frame.result
  return { ...frame.result, skipped: frame.skipped as JsonObject[] }
}

/** Whether the answer says more than the commit does: its `settled` waits for it. */
export function isOwedResult({ intent }: StoredOperation): boolean {
  return intent.type === 'UNDO' || (intent.type === 'BATCH' && intent.ifMissing === 'skip')
}

export function outcomeOf(outcome: Outcome['outcome'], version: number, result: JsonObject | undefined): Outcome {
  return result === undefined ? { outcome, version } : { outcome, version, result }
}
