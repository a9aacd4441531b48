/**
 * One graph on one client, without I/O: it is told what happened, and says what is to be done.
 *
 * It has no clock, draws no random number and never throws out of a frame. Whoever drives it does the effects of a step
 * in their order; those of type `store` may end later, but in order (rule P1).
 *
 * | is in | what |
 * |---|---|
 * | `follow.ts` | `SUBSCRIBE`, `SYNC`, commits |
 * | `edits.ts` | edits, undo and redo |
 * | `queue.ts` | when operations are sent, and how they end |
 * | `answers.ts` | `ACK`, `REVERT`, `ERROR` |
 * | `predict.ts` | what an operation will do |
 */

import type { Access, EntityMeta, GraphSnapshot, UndoState } from '../api.ts'
import { fromState, type GraphState } from '../model/index.ts'
import { acknowledged, complained, reverted } from './answers.ts'
import { act, actAgain, did, idsNeeded, learn, reverse } from './edits.ts'
import type { Effect, Input, StoredGraph } from './effects.ts'
import { disconnect, markUnseen, subscribe, sync, update } from './follow.ts'
import type { GraphFrame } from './frames.ts'
import { type Pending, type Point, pendingOf, type StoredOperation } from './operation.ts'
import { flush, retarget } from './queue.ts'
import { currentPicture, emptyState, type MachineState, Out, type Phase, reach, redraw, shownState } from './state.ts'

export interface MachineOptions {
  readonly graphId: string
  readonly clientId: string
  /** Whether a device keeps what happens. Without one, no `store` effects come. */
  readonly isKept?: boolean
}

export class GraphMachine {
  readonly #m: MachineState

  constructor({ graphId, clientId, isKept = false }: MachineOptions) {
    this.#m = emptyState(graphId, clientId, isKept)
  }

  /** Tells what happened at `now` (Unix milliseconds), and returns what is to be done, in order. */
  step(input: Input, now: number): Effect[] {
    const m = this.#m
    const out = new Out(now)
    switch (input.type) {
      case 'loaded':
        load(m, out, input.stored)
        break
      case 'adopted':
        adopt(m, out, input.operations, true)
        break
      case 'connected':
        m.messageBytesMax = input.limits.messageBytes
        m.operationTtlMs = input.limits.operationTtlMs
        subscribe(m, out)
        break
      case 'disconnected':
        disconnect(m, out)
        break
      case 'frame':
        if (m.phase !== 'away') take(m, out, input.frame)
        break
      case 'act':
        act(m, out, input.operationId, input.action, input.options)
        break
      case 'again':
        actAgain(m, out, input.operationId, input.refused, input.options)
        break
      case 'undo':
      case 'redo':
        reverse(m, out, input.type, input.operationIds)
        break
      case 'did':
        did(m, out, input.operationId, input.version, input.label)
        break
      case 'learned':
        learn(m, out)
        break
      case 'tick':
        if (m.subscribeAt !== null && m.subscribeAt <= now) subscribe(m, out)
        // What is due and held by something else waits for that: time alone changes nothing more.
        for (const pending of m.queue.all) if (pending.retryAt <= now) pending.retryAt = 0
        flush(m, out)
        break
    }
    return out.all()
  }

  /** Another client id, before anything is sent: the one that was proposed belongs to another tab (rule P7). */
  rename(clientId: string): void {
    const m = this.#m
    for (const pending of m.queue.all) {
      if (pending.stored.clientId === m.clientId) pending.stored = { ...pending.stored, clientId }
    }
    m.clientId = clientId
  }

  /** When a `tick` is due, Unix milliseconds; `null`: no time matters. */
  wakeAt(): number | null {
    const m = this.#m
    if (m.phase === 'subscribing') return m.subscribeAt
    if (m.phase !== 'live') return null
    let at: number | null = null
    for (const { retryAt, isInFlight, progress } of m.queue.all) {
      if (retryAt > 0 && !isInFlight && progress !== 'accepted') at = Math.min(at ?? retryAt, retryAt)
    }
    return at
  }

  /** Confirmed state with the pending operations on top. The same object while nothing changed. */
  picture(): GraphSnapshot {
    return currentPicture(this.#m)
  }

  /** The state that {@link picture} shows, as a copy that stays as it is. */
  shown(): GraphState {
    return shownState(this.#m).fork()
  }

  /** What the server keeps beside a node or an edge; nothing while it is not confirmed. */
  meta(id: string): EntityMeta | undefined {
    const { confirmed } = this.#m
    const placed = confirmed.nodes.get(id) ?? confirmed.edges.get(id)
    if (placed === undefined) return undefined
    const { createdAt, updatedAt, version } = placed
    return { createdAt, updatedAt, version }
  }

  /** What the server has confirmed. Not to be changed. */
  get confirmed(): GraphState {
    return this.#m.confirmed
  }

  get point(): Point | null {
    return this.#m.point
  }

  get phase(): Phase {
    return this.#m.phase
  }

  get access(): Access | null {
    return this.#m.access
  }

  /** Why the graph can't be followed: a code of the server. */
  get refusal(): string | null {
    return this.#m.refusal
  }

  /** The operations that have not ended, oldest first. Not to be changed. */
  get pending(): readonly Pending[] {
    return this.#m.queue.all
  }

  /** Whether an operation is committed whose answer says more than the commit did, and has not come. */
  get isOwed(): boolean {
    return this.#m.owed.size > 0
  }

  /** Whether the operation is refused as things stand: it adds nothing to the picture. */
  isDoubtful(operationId: string): boolean {
    shownState(this.#m)
    return this.#m.predictions.get(operationId) === null
  }

  get history(): UndoState {
    return this.#m.undo.state()
  }

  /** How many operation ids `undo` or `redo` needs; 0: there is nothing to take back. */
  idsNeeded(direction: 'undo' | 'redo'): number {
    return idsNeeded(this.#m, direction)
  }
}

function take(m: MachineState, out: Out, frame: GraphFrame): void {
  if (frame.type !== 'ERROR' && frame.graphId !== m.graphId) return
  switch (frame.type) {
    case 'SYNC':
      sync(m, out, frame)
      break
    case 'STATE_UPDATE':
      update(m, out, frame)
      break
    case 'ACK':
      acknowledged(m, out, frame)
      break
    case 'REVERT':
      reverted(m, out, frame)
      break
    case 'PRESENCE':
      out.say({ type: 'presence', frame })
      break
    case 'ACCESS':
      m.access = frame.access
      out.say({ type: 'status' })
      break
    case 'ERROR':
      complained(m, out, frame)
      break
  }
}

/** Takes up what the device kept (rule P4). */
function load(m: MachineState, out: Out, stored: StoredGraph): void {
  if (m.point === null) foldKept(m, stored)
  if (stored.history !== null) m.undo.load(stored.history)
  adopt(m, out, stored.operations, false)
  forgetLost(m, out)
  out.say({ type: 'history' })
}

/** What is damaged is got from the server again (rule P4). */
function foldKept(m: MachineState, { checkpoint, tail }: StoredGraph): void {
  if (checkpoint === null) return
  try {
    const confirmed = fromState(checkpoint.state)
    let at = checkpoint.point
    for (const commit of tail) {
      if (commit.version !== at.version + 1) continue
      for (const event of commit.events) confirmed.apply(event, commit)
      at = { version: commit.version, hash: commit.hash }
      m.tailLength += 1
    }
    m.confirmed = confirmed
    reach(m, at)
  } catch {
    m.tailLength = 0
  }
}

/**
 * What has no version yet and is not in the queue was sent by who took the queue over: the version will never be known
 * here, so it can't be taken back (rule U13).
 */
function forgetLost(m: MachineState, out: Out): void {
  const { undo, redo } = m.undo.stored()
  const targets = [
    ...[...undo, ...redo].flatMap(({ operations }) => operations),
    ...m.queue.all.flatMap(({ stored: { intent } }) => (intent.type === 'UNDO' ? intent.targets : [])),
  ]
  for (const { operationId, version } of targets) {
    if (version === null && m.queue.find(operationId) === undefined) retarget(m, out, operationId, null)
  }
}

/** Before all histories of which this life of the client has points: none of those is known to their authors. */
const NO_ERA = -1

/** Takes up operations that were made earlier: they come before those that were made here meanwhile. */
function adopt(m: MachineState, out: Out, operations: readonly StoredOperation[], isAdopted: boolean): void {
  const known = new Set(m.queue.all.map((pending) => pending.stored.operationId))
  const earlier = operations.filter(({ operationId }) => !known.has(operationId))
  m.queue.merge(
    earlier.map((operation) => ({
      ...pendingOf(operation, NO_ERA),
      maybeSent: true,
    })),
  )
  for (const { seq } of earlier) m.seq = Math.max(m.seq, seq)
  if (isAdopted) for (const { operationId } of earlier) markUnseen(m, out, m.queue.find(operationId))
  redraw(m, out)
  out.say({ type: 'status' })
  // What became of them is asked before they are sent (rule A10).
  if (m.phase === 'live' && earlier.length > 0) subscribe(m, out)
  else flush(m, out)
}
