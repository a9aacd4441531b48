/** What the user does: edits, undo and redo (rules A1, A4, U13). */

import { type Action, decide, type Footprint, footprint, writesOf } from '../model/index.ts'
import type { ActOptions } from './effects.ts'
import {
  baseFor,
  dependenciesOf,
  type Intent,
  lostIn,
  type Pending,
  type Point,
  pendingOf,
  type Role,
  type StoredOperation,
} from './operation.ts'
import { undoFootprint } from './predict.ts'
import { cancel, find, flush, restore } from './queue.ts'
import {
  invalidate,
  keepHistory,
  knownPast,
  type MachineState,
  type Out,
  putOnTop,
  seenPoint,
  shownState,
} from './state.ts'
import type { Step } from './undo_stack.ts'

/** Refusals that nobody else's commits can lift. */
const HOPELESS = ['BAD_REQUEST', 'PARENT_CYCLE']

/** Nothing is left out. */
const NONE: ReadonlySet<string> = new Set()

/** An edit: it shows at once, is kept, and is sent when it may be. It builds on nothing that it is made `without`. */
export function act(
  m: MachineState,
  out: Out,
  operationId: string,
  action: Action,
  options: ActOptions,
  without: ReadonlySet<string> = NONE,
): void {
  const decision = decide(shownState(m), action)
  const pending = make(m, out, operationId, action, 'edit', options, footprint(shownState(m), action), without)
  if (!decision.ok && HOPELESS.includes(decision.code)) {
    const { code, message } = decision
    out.say({ type: 'refused', refusal: { operationId, code, message, conflicts: [], operation: pending.stored } })
    return
  }
  m.undo.edited(operationId, options.label ?? null, options.undoGroup ?? null)
  keepHistory(m, out)
  enqueue(m, out, pending)
}

function make(
  m: MachineState,
  out: Out,
  operationId: string,
  intent: Intent,
  role: Role,
  options: ActOptions,
  { reads, writes }: Footprint,
  without: ReadonlySet<string> = NONE,
): Pending {
  const dependsOn = dependenciesOf(intent, { reads, writes }, m.queue, without)
  if (options.after !== undefined && !dependsOn.includes(options.after)) dependsOn.push(options.after)
  m.seq = Math.max(m.seq + 1, out.now)
  const stored: StoredOperation = {
    operationId,
    clientId: clientFor(m, dependsOn),
    seq: m.seq,
    intent,
    onConflict: options.onConflict,
    role,
    base: baseFor(writes, options.since ?? seenPoint(m), m.queue),
    dependsOn,
    reads,
    writes,
    label: options.label,
    undoGroup: options.undoGroup,
    madeAt: out.now,
    sentAt: null,
  }
  return pendingOf(stored, eraOf(m, stored.base))
}

/** How often the history had been replaced when it had this point: the user may not have seen yet that it was (rule D8). */
function eraOf(m: MachineState, { hash }: Point): number {
  return m.points.filter(({ point }) => point.hash === hash).at(-1)?.era ?? m.era
}

/** What builds on an adopted operation goes under the same client, whose commits never conflict with it (rule D1). */
function clientFor(m: MachineState, dependsOn: readonly string[]): string {
  const last = dependsOn.at(-1)
  return (last === undefined ? undefined : find(m, last)?.stored.clientId) ?? m.clientId
}

function enqueue(m: MachineState, out: Out, pending: Pending): void {
  putOnTop(m, pending)
  m.queue.push(pending)
  out.say({ type: 'changed', isLocal: true })
  out.say({ type: 'status' })
  out.making = pending
  flush(m, out)
  out.making = null
  if (m.queue.has(pending)) out.keep(m, { put: 'operation', operation: pending.stored })
}

/** An operation that was sent otherwise, and has its commit, is the latest step. */
export function did(m: MachineState, out: Out, operationId: string, version: number, label: string): void {
  m.undo.edited(operationId, label, null)
  m.undo.reached(operationId, version)
  keepHistory(m, out)
}

/** How many operation ids the next undo or redo needs. */
export function idsNeeded(m: MachineState, direction: 'undo' | 'redo'): number {
  const step = m.undo.last(direction)
  return step === undefined ? 0 : Math.max(1, step.drafts.length)
}

/** Takes back the latest step, or puts back what was taken back last. */
export function reverse(m: MachineState, out: Out, direction: 'undo' | 'redo', operationIds: readonly string[]): void {
  const step = m.undo.take(direction)
  if (step === undefined) return
  const opposite = direction === 'undo' ? 'redo' : 'undo'
  if (step.drafts.length > 0) {
    makeAgain(m, out, step, opposite, operationIds)
    return
  }
  const unsent = step.operations.map(({ operationId }) => find(m, operationId))
  if (unsent.every((pending) => pending !== undefined && isLoose(m, pending, unsent))) {
    const drafts = (unsent as Pending[]).map((pending) => pending.stored)
    // The newest first: what is below it is still predicted as it was.
    for (const pending of [...(unsent as Pending[])].reverse()) cancel(m, out, pending)
    m.undo.push(opposite, { label: step.label, group: null, operations: [], drafts })
    keepHistory(m, out)
    out.say({ type: 'changed', isLocal: true })
    return
  }
  const [operationId] = operationIds
  if (operationId === undefined) throw new Error('an operation id is needed')
  m.undo.push(opposite, {
    label: step.label,
    group: null,
    operations: [{ operationId, version: null }],
    drafts: [],
  })
  keepHistory(m, out)
  const intent: Intent = { type: 'UNDO', targets: step.operations }
  const read = undoFootprint(shownState(m), step.operations, undefined, knownPast(m))
  enqueue(m, out, make(m, out, operationId, intent, direction, { label: step.label ?? undefined }, read))
}

/** Whether it can be taken out of the queue: it was never sent, and nothing else builds on it. */
function isLoose(m: MachineState, pending: Pending, step: readonly (Pending | undefined)[]): boolean {
  const { operationId, sentAt, intent } = pending.stored
  if (sentAt !== null || pending.maybeSent || intent.type === 'UNDO') return false
  return m.queue.all.every((other) => step.includes(other) || !isAbout(other, operationId))
}

function isAbout({ stored }: Pending, operationId: string): boolean {
  if (stored.dependsOn.includes(operationId)) return true
  return stored.intent.type === 'UNDO' && stored.intent.targets.some((target) => target.operationId === operationId)
}

/** Makes again what was taken out of the queue. */
function makeAgain(
  m: MachineState,
  out: Out,
  step: Step,
  list: 'undo' | 'redo',
  operationIds: readonly string[],
): void {
  const made: { operationId: string; version: null }[] = []
  for (const [at, draft] of step.drafts.entries()) {
    const operationId = operationIds[at]
    if (operationId === undefined || draft.intent.type === 'UNDO') continue
    const options: ActOptions = { onConflict: draft.onConflict, label: draft.label, since: draft.base }
    enqueue(m, out, make(m, out, operationId, draft.intent, 'edit', options, footprint(shownState(m), draft.intent)))
    made.push({ operationId, version: null })
  }
  m.undo.push(list, { label: step.label, group: null, operations: made, drafts: [] })
  keepHistory(m, out)
}

/** Undo can be predicted from now on. What later edits hide by one that was made before is known, too (rule A4). */
export function learn(m: MachineState, out: Out): void {
  if (m.knowsUndo) return
  m.knowsUndo = true
  const undos = m.queue.all.filter(({ stored }) => stored.intent.type === 'UNDO')
  if (undos.length === 0) return
  invalidate(m)
  shownState(m)
  for (const pending of undos) {
    const writes = writesOf(m.predictions.get(pending.stored.operationId) ?? [])
    if (writes.length > 0 && pending.stored.writes.length === 0) restore(m, out, pending, { writes })
  }
  m.queue.merge([])
  out.say({ type: 'changed', isLocal: true })
}

/**
 * Sends a refused operation again as a new one: the user saw what stands now (rule M2). It does not build on what built on
 * it and is about to be refused: it would be refused with that.
 */
export function actAgain(
  m: MachineState,
  out: Out,
  operationId: string,
  refused: StoredOperation,
  options: ActOptions,
): void {
  const lost = lostIn(m.queue)
  if (refused.intent.type !== 'UNDO') {
    act(m, out, operationId, refused.intent, options, lost)
    return
  }
  const targets = refused.intent.targets
  m.undo.push(refused.role === 'redo' ? 'undo' : 'redo', {
    label: refused.label ?? null,
    group: null,
    operations: [{ operationId, version: null }],
    drafts: [],
  })
  keepHistory(m, out)
  const intent: Intent = { type: 'UNDO', targets }
  enqueue(
    m,
    out,
    make(
      m,
      out,
      operationId,
      intent,
      refused.role,
      options,
      undoFootprint(shownState(m), targets, options.onConflict, knownPast(m)),
      lost,
    ),
  )
}
