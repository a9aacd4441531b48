/** Everything that a client knows of one graph, and the steps that several parts of the machine share. */

import type { Access, GraphSnapshot } from '../api.ts'
import { type Change as Done, type GraphEvent, GraphState, picture, remember, toState } from '../model/index.ts'
import type { Change, Effect } from './effects.ts'
import { ORIGIN, type Pending, type Point } from './operation.ts'
import { Queue } from './pending.ts'
import { type Past, predict } from './predict.ts'
import { UndoStack } from './undo_stack.ts'

/**
 * `away`: there is no connection. `subscribing`: `SUBSCRIBE` was sent; what comes before its `SYNC` is of an earlier
 * subscription. `live`: commits come as they happen. `refused`: this connection may not follow the graph.
 */
export type Phase = 'away' | 'subscribing' | 'live' | 'refused'

/** Points that are remembered for operations of a replaced history (rule D8). */
const POINTS_MAX = 1_024
/** Own operations whose changes are remembered. */
const PAST_MAX = 2_000
/** Commits that a device keeps after a state, before it gets a newer state. */
const TAIL_MAX = 1_000

export interface MachineState {
  readonly graphId: string
  clientId: string
  /** Whether a device keeps what happens: without one, no changes are told. */
  readonly isKept: boolean
  /** What the server has confirmed. Changed in place: {@link shown} is a copy. */
  confirmed: GraphState
  /** The version that is confirmed; `null` before the first state. */
  point: Point | null
  phase: Phase
  access: Access | null
  /** The code of the refusal to follow. */
  refusal: string | null
  /** In the order of making, which is the order of sending. */
  readonly queue: Queue
  /** What is predicted for each of them; absent: nothing was predicted yet. */
  readonly predictions: Map<string, readonly GraphEvent[] | null>
  /** What own operations changed, to predict how they are taken back. */
  readonly past: Map<string, readonly Done[]>
  /** Whether undo is predicted. Until then the picture shows one when its commit comes. */
  knowsUndo: boolean
  readonly undo: UndoStack
  /** Confirmed and pending together; `null`: to be made again. */
  shown: GraphState | null
  picture: GraphSnapshot
  isPictureOld: boolean
  /** How often the history was replaced. */
  era: number
  points: { readonly era: number; readonly point: Point }[]
  seq: number
  messageBytesMax: number
  operationTtlMs: number
  subscribeAt: number | null
  /** The version up to which a `replay` brings commits. */
  replayUntil: number
  /** Commits since the state that the device keeps. */
  tailLength: number
  /** Operations that are committed, whose answer brings what they did. */
  readonly owed: Map<string, { version: number; outcome: 'applied' | 'merged' }>
}

const NOTHING: GraphSnapshot = {
  nodes: [],
  edges: [],
  viewport: { x: 0, y: 0, zoom: 1 },
  attributes: {},
  ready: false,
}

export function emptyState(graphId: string, clientId: string, isKept: boolean): MachineState {
  return {
    graphId,
    clientId,
    isKept,
    confirmed: new GraphState(),
    point: null,
    phase: 'away',
    access: null,
    refusal: null,
    queue: new Queue(),
    predictions: new Map(),
    past: new Map(),
    knowsUndo: false,
    undo: new UndoStack(),
    shown: null,
    picture: NOTHING,
    isPictureOld: false,
    era: 0,
    points: [],
    seq: 0,
    messageBytesMax: Number.POSITIVE_INFINITY,
    operationTtlMs: Number.POSITIVE_INFINITY,
    subscribeAt: null,
    replayUntil: 0,
    tailLength: 0,
    owed: new Map(),
  }
}

/** What one step says. Changes come first: they are begun before anything is sent. */
export class Out {
  readonly #effects: Effect[] = []
  readonly #changes: Change[] = []
  readonly now: number
  /** The operation that is being made: it is kept once, when it is known whether it was sent. */
  making: Pending | null = null

  constructor(now: number) {
    this.now = now
  }

  say(effect: Effect): void {
    this.#effects.push(effect)
  }

  keep(m: MachineState, change: Change): void {
    if (m.isKept) this.#changes.push(change)
  }

  all(): Effect[] {
    return this.#changes.length > 0 ? [{ type: 'store', changes: this.#changes }, ...this.#effects] : this.#effects
  }
}

/** The state with pending operations on top. Those that are refused on it add nothing (rule A3). */
export function shownState(m: MachineState): GraphState {
  if (m.shown !== null) return m.shown
  const overlays = m.queue.all.filter((pending) => pending.progress !== 'asking')
  if (overlays.length === 0) {
    m.shown = m.confirmed
    return m.confirmed
  }
  const shown = m.confirmed.fork()
  for (const pending of overlays) put(m, shown, pending)
  m.shown = shown
  return shown
}

/** Puts one more operation on top. */
export function putOnTop(m: MachineState, pending: Pending): void {
  const below = shownState(m)
  const shown = below === m.confirmed ? below.fork() : below
  const before = shown.fork()
  const events = put(m, shown, pending)
  m.shown = shown
  m.isPictureOld = true
  if (events !== null) recall(m, pending.stored.operationId, before, events)
}

/** Remembers what an own operation did, so that its undo can be predicted. */
export function recall(m: MachineState, operationId: string, before: GraphState, events: readonly GraphEvent[]): void {
  m.past.set(operationId, remember(before, events))
  if (m.past.size <= PAST_MAX) return
  const [oldest] = m.past.keys()
  if (oldest !== undefined) m.past.delete(oldest)
}

function put(m: MachineState, shown: GraphState, { stored }: Pending): readonly GraphEvent[] | null {
  const events = predict(shown, stored.intent, stored.onConflict, knownPast(m))
  m.predictions.set(stored.operationId, events)
  const at = { version: (m.point?.version ?? 0) + 1, timestamp: stored.madeAt, isPredicted: true }
  for (const event of events ?? []) shown.apply(event, at)
  return events
}

/** What is known to predict how own operations are taken back; `null`: how is not known. */
export function knownPast(m: MachineState): Past | null {
  return m.knowsUndo ? m.past : null
}

/** The picture has to be made again. */
export function invalidate(m: MachineState): void {
  m.shown = null
  m.isPictureOld = true
}

/** The picture is another one now, or may be. */
export function redraw(m: MachineState, out: Out): void {
  invalidate(m)
  out.say({ type: 'changed', isLocal: false })
}

/** What is shown, as one object that stays the same while nothing changed (rules M9, M10). */
export function currentPicture(m: MachineState): GraphSnapshot {
  if (!m.isPictureOld) return m.picture
  m.isPictureOld = false
  m.picture = picture(shownState(m), m.picture === NOTHING ? undefined : m.picture, m.point !== null)
  return m.picture
}

/** The point moves on, or to another history. */
export function reach(m: MachineState, point: Point): void {
  m.point = point
  m.points.push({ era: m.era, point })
  if (m.points.length > POINTS_MAX) m.points.shift()
}

/** The point that the user sees. */
export function seenPoint(m: MachineState): Point {
  return m.point ?? ORIGIN
}

/** Keeps the whole state on the device, and no commits before it. */
export function keepCheckpoint(m: MachineState, out: Out, isReset: boolean): void {
  m.tailLength = 0
  if (!m.isKept || m.point === null) return
  out.keep(m, { put: 'checkpoint', point: m.point, state: toState(m.confirmed), isReset })
}

/** A commit was kept; when there are many, a state replaces them. */
export function countTail(m: MachineState, out: Out): void {
  m.tailLength += 1
  if (m.tailLength >= TAIL_MAX) keepCheckpoint(m, out, false)
}

export function keepHistory(m: MachineState, out: Out): void {
  if (m.isKept) out.keep(m, { put: 'history', history: m.undo.stored() })
  out.say({ type: 'history' })
}
