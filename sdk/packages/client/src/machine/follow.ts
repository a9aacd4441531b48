/** Following a graph: `SUBSCRIBE`, `SYNC` and the commits (rules A2, A8, A9, A10; rules W2 to W4). */

import type { JsonObject } from '../api.ts'
import { entityOf, fromState, type GraphEvent, isEqual } from '../model/index.ts'
import type { Settled, StateUpdate, Sync } from './frames.ts'
import type { Pending } from './operation.ts'
import { find, finish, flush, guess, isOwedResult, outcomeOf, refuse, remove, restore, retarget } from './queue.ts'
import { countTail, keepCheckpoint, keepHistory, type MachineState, type Out, reach, recall, redraw } from './state.ts'

/**
 * Operations that one `SUBSCRIBE` asks after (rule W3). The others are sent again, which is as safe (rule C3). It is not for
 * those that the server may have forgotten, and undos: they are few, and asked after first.
 */
const ASKED_MAX = 1_000

/**
 * There is a connection: asks for what is missing, and what became of the operations. What this connection sent before
 * is answered nevertheless. Where the order of what came back can't be told from a state, another state tells.
 */
export function subscribe(m: MachineState, out: Out): void {
  if (m.phase === 'refused') out.say({ type: 'status' })
  m.phase = 'subscribing'
  m.subscribeAt = null
  const sent = m.queue.all.filter((pending) => pending.stored.sentAt !== null || pending.maybeSent)
  const asked = sent.length <= ASKED_MAX ? sent : sent.sort(unsafeFirst).slice(0, ASKED_MAX)
  const frame: JsonObject = { type: 'SUBSCRIBE', graphId: m.graphId }
  if (m.point !== null && !m.confirmed.isOrderUncertain)
    Object.assign(frame, { version: m.point.version, hash: m.point.hash })
  if (asked.length > 0) frame.pending = asked.map((pending) => pending.stored.operationId)
  out.say({ type: 'send', frame })
}

function unsafeFirst(a: Pending, b: Pending): number {
  return Number(isSafe(a)) - Number(isSafe(b))
}

/** Whether it can be sent again unasked. */
function isSafe({ stored }: Pending): boolean {
  return stored.sentAt === null && stored.intent.type !== 'UNDO'
}

/** The connection is gone. What was not answered is asked after on the next one. */
export function disconnect(m: MachineState, out: Out): void {
  m.phase = 'away'
  m.subscribeAt = null
  for (const pending of m.queue.all) pending.isInFlight = false
  for (const [operationId, { outcome, version }] of m.owed) {
    out.say({ type: 'settled', operationId, outcome: { outcome, version } })
  }
  m.owed.clear()
  out.say({ type: 'status' })
}

export function sync(m: MachineState, out: Out, frame: Sync): void {
  if (m.phase !== 'subscribing') {
    // Unasked: what a history that is no more had accepted may be lost. Sending it again tells.
    for (const pending of m.queue.all) if (pending.progress === 'accepted') pending.progress = 'waiting'
  }
  const { version, hash } = frame
  const at = m.point
  const isExpected =
    frame.status === 'snapshot'
      ? frame.state !== undefined
      : at !== null && (frame.status === 'in_sync' ? at.version === version && at.hash === hash : at.version < version)
  if (!isExpected) {
    out.say({ type: 'reconnect', reason: `SYNC ${frame.status} does not fit the point` })
    return
  }
  m.phase = 'live'
  m.refusal = null
  m.access = frame.access
  m.replayUntil = frame.status === 'replay' ? version : 0
  if (frame.status === 'snapshot') takeSnapshot(m, out, frame)
  else if (frame.status === 'in_sync') reach(m, { version, hash })
  const told = new Map(frame.settled.map((settled) => [settled.operationId, settled]))
  for (const pending of [...m.queue.all]) {
    // One that ended with another is gone already.
    if (m.queue.has(pending)) settle(m, out, pending, told.get(pending.stored.operationId), frame)
  }
  // Of what was not asked after, and may be forgotten or sent otherwise, nothing is known. It is not sent blindly.
  const isUnasked = (pending: Pending): boolean =>
    !pending.isInFlight &&
    !told.has(pending.stored.operationId) &&
    (isExpired(m, out, pending) || (pending.maybeSent && isUnrecorded(pending)))
  if (told.size < ASKED_MAX && m.queue.all.some(isUnasked)) {
    subscribe(m, out)
    return
  }
  out.say({ type: 'status' })
  flush(m, out)
}

function takeSnapshot(m: MachineState, out: Out, frame: Sync): void {
  const isReset = frame.reset === true || (m.point !== null && frame.version < m.point.version)
  if (frame.state === undefined) return
  m.confirmed = fromState(frame.state, m.point === null ? undefined : m.confirmed)
  if (isReset) {
    m.era += 1
    for (const pending of m.queue.all) Object.assign(pending, { ended: null, outcome: 'applied' })
    m.past.clear()
    m.undo.clear()
    keepHistory(m, out)
    dropStaleUndos(m, out)
  }
  for (const pending of m.queue.all) markUnseen(m, out, pending)
  reach(m, { version: frame.version, hash: frame.hash })
  keepCheckpoint(m, out, isReset)
  redraw(m, out)
  if (isReset) out.say({ type: 'replaced', discarded: m.queue.all.map((pending) => pending.stored.operationId) })
}

/** The commits that follow don't tell any more what became of the operation (rule A10). */
export function markUnseen(m: MachineState, out: Out, pending: Pending | undefined): void {
  if (pending === undefined || pending.stored.isUnseen || (pending.stored.sentAt === null && !pending.maybeSent)) return
  restore(m, out, pending, { isUnseen: true })
}

/** What they name is of a history that is no more. */
function dropStaleUndos(m: MachineState, out: Out): void {
  for (const pending of [...m.queue.all]) {
    if (pending.stored.intent.type !== 'UNDO' || pending.stored.sentAt !== null) continue
    // One that was refused with another is gone already.
    if (!m.queue.has(pending)) continue
    refuse(m, out, pending, { code: 'history_replaced', message: 'The history was replaced' })
  }
}

/** What the `SYNC` says of an operation (rule W3). */
function settle(m: MachineState, out: Out, pending: Pending, told: Settled | undefined, frame: Sync): void {
  pending.isDubious = false
  switch (told?.status) {
    case 'completed': {
      const committedAt = told.version ?? 0
      if (committedAt > (m.point?.version ?? 0)) {
        pending.progress = 'accepted'
        pending.acceptedAt = committedAt
      } else ask(m, out, pending, { ...told, status: 'completed' })
      return
    }
    case 'conflict':
    case 'failed':
      ask(m, out, pending, { ...told, status: told.status })
      return
    case 'unknown':
    case undefined:
      pending.progress = 'waiting'
      if (told === undefined) return
      pending.maybeSent = false
      if (!pending.isInFlight && isExpired(m, out, pending)) doubt(m, out, pending, frame)
      return
  }
}

/** It has ended, and shows no more. Sending it again tells how: the server answers with the first outcome (rule C3). */
function ask(
  m: MachineState,
  out: Out,
  pending: Pending,
  told: Omit<Settled, 'operationId'> & { status: Ended['status'] },
): void {
  const { status, version = 0, code } = told
  const ended: Ended = code === undefined ? { status, version } : { status, version, code }
  Object.assign(pending, { progress: 'asking', isRefused: status !== 'completed', retryAt: 0, ended })
  if (isExpired(m, out, pending) || isUnrecorded(pending)) {
    conclude(m, out, pending, ended)
    return
  }
  redraw(m, out)
}

type Ended = NonNullable<Pending['ended']>

/** The server has forgotten more than that it ended. */
function conclude(m: MachineState, out: Out, pending: Pending, { status, version, code = 'CONFLICT' }: Ended): void {
  redraw(m, out)
  if (status === 'completed') finish(m, out, pending, { outcome: pending.outcome, version })
  else refuse(m, out, pending, { code, message: 'It was refused' })
}

/** Whether the server may have forgotten what became of it (rule C3). A tenth of the time is left for the way there. */
function isExpired(m: MachineState, out: Out, { stored, ended }: Pending): boolean {
  // One that has ended was sent, even if the device does not know when: at the earliest when it was made.
  const since = stored.sentAt ?? (ended === null ? null : stored.madeAt)
  return since !== null && out.now - since > m.operationTtlMs * 0.9
}

/** An undo that the device takes for unsent: if it was sent, the versions that it named then are not known. */
function isUnrecorded({ stored }: Pending): boolean {
  return stored.intent.type === 'UNDO' && stored.sentAt === null
}

/** It may have been committed and forgotten (rule A10). */
function doubt(m: MachineState, out: Out, pending: Pending, frame: Sync): void {
  if (pending.ended !== null && frame.reset !== true) {
    conclude(m, out, pending, pending.ended)
    return
  }
  // The commits that follow tell: if it is not among them, it was not committed by them.
  if (frame.status === 'replay') pending.isDubious = true
  else if (frame.status === 'snapshot' || pending.stored.isUnseen) guess(m, out, pending)
}

/** A commit: exactly the next one is applied (rule A2). */
export function update(m: MachineState, out: Out, frame: StateUpdate): void {
  const at = m.point
  if (m.phase !== 'live' || at === null) return
  const { version, hash } = frame
  if (version <= at.version) {
    if (version === at.version && hash !== at.hash) out.say({ type: 'reconnect', reason: 'another history' })
    return
  }
  if (version > at.version + 1) {
    out.say({ type: 'reconnect', reason: `a gap: version ${version} after ${at.version}` })
    return
  }
  const operation = frame.operationId ?? ''
  const own = find(m, operation)
  const isAsPredicted = own !== undefined && wasPredicted(m, own, frame.events)
  if (own !== undefined || m.undo.knows(operation)) {
    recall(m, operation, m.confirmed, frame.events)
  }
  const isAlone = m.shown === m.confirmed
  const isBeside = !isAlone && m.shown !== null && own === undefined && frame.events.every((event) => isAside(m, event))
  for (const event of frame.events) {
    m.confirmed.apply(event, frame)
    if (isBeside) m.shown?.apply(event, frame)
  }
  reach(m, { version, hash })
  out.keep(m, {
    put: 'commit',
    commit: { version, hash, timestamp: frame.timestamp, events: frame.events },
    previous: at,
  })
  countTail(m, out)
  if (own !== undefined) committed(m, out, own, frame)
  askUnseen(m, out, version)
  if (!isAsPredicted) {
    if (!isAlone && !isBeside) m.shown = null
    m.isPictureOld = true
    out.say({ type: 'changed', isLocal: false })
  }
  const { operationId, userId, clientId, events } = frame
  const types = events.map((event) => event.type)
  out.say({ type: 'committed', commit: { version, operationId, userId, clientId, types } })
  if (m.confirmed.isOrderUncertain) subscribe(m, out)
  else if (own !== undefined || version === m.replayUntil) flush(m, out)
  else if (m.queue.all.some((pending) => pending.progress === 'asking' && !pending.isInFlight)) flush(m, out)
}

/** What is accepted as this version or an older one, and made no commit, changed nothing. Sending it again tells. */
function askUnseen(m: MachineState, out: Out, version: number): void {
  for (const pending of [...m.queue.all]) {
    if (pending.progress !== 'accepted' || pending.acceptedAt > version || !m.queue.has(pending)) continue
    pending.outcome = 'unchanged'
    ask(m, out, pending, { status: 'completed', version: pending.acceptedAt })
  }
}

/** Whether the event changes a field of something that no pending operation looks at: what is shown changes as it does. */
function isAside(m: MachineState, event: GraphEvent): boolean {
  switch (event.type) {
    case 'NodeMoved':
      return !m.queue.dependsOn({ kind: 'node', id: event.nodeId })
    case 'NodeUpdated':
      if (Object.hasOwn(event.patch, 'parentId') || Object.hasOwn(event.patch, 'parentNode')) return false
      return !m.queue.dependsOn({ kind: 'node', id: event.nodeId })
    default:
      return false
  }
}

/** Whether what is shown has these very changes at the bottom already: the operation is the oldest that shows. */
function wasPredicted(m: MachineState, own: Pending, events: readonly GraphEvent[]): boolean {
  if (m.shown === null || m.shown === m.confirmed) return false
  if (m.queue.all.find((pending) => pending.progress !== 'asking') !== own) return false
  const predicted = m.predictions.get(own.stored.operationId)
  return predicted?.length === events.length && predicted.every((event, at) => isSameEvent(event, events[at]))
}

function isSameEvent(predicted: GraphEvent, event: GraphEvent | undefined): boolean {
  if (event === undefined || entityOf(event) === null) return false
  return isEqual(predicted as unknown as JsonObject, event as unknown as JsonObject)
}

function committed(m: MachineState, out: Out, own: Pending, frame: StateUpdate): void {
  const { version } = frame
  const isAnswered = own.progress === 'accepted' && own.isAnswered
  if (!isAnswered && own.isInFlight && isOwedResult(own.stored)) {
    m.owed.set(own.stored.operationId, { version, outcome: frame.outcome })
    end(m, out, own, version)
    return
  }
  const outcome = isAnswered ? own.outcome : frame.outcome
  finish(m, out, own, outcomeOf(outcome, version, own.result))
}

/** It ended; whoever waits for it is told with the answer. */
function end(m: MachineState, out: Out, own: Pending, version: number): void {
  remove(m, out, own)
  retarget(m, out, own.stored.operationId, version)
}
