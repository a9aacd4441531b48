/** What an operation will do, as far as this client can know (rules A3, U13). */

import type { OnConflict } from '../api.ts'
import {
  type Change,
  type decideUndo as DecideUndo,
  decide,
  type Footprint,
  type GraphEvent,
  type GraphState,
  writesOf,
} from '../model/index.ts'
import type { Intent, Target } from './operation.ts'

/** What own operations changed, by operation. Those that are not there can be undone, and nothing is predicted. */
export type Past = ReadonlyMap<string, readonly Change[]>

/** Nothing can be undone before a first edit, so how undo is decided is loaded after it. */
let decideUndo: typeof DecideUndo | null = null

/** Makes undo known. A machine predicts it from its next `learned` on. */
export function provideUndo(decide: typeof DecideUndo): void {
  decideUndo = decide
}

export function isUndoKnown(): boolean {
  return decideUndo !== null
}

/** The events of the operation on this state; `null`: it would be refused, or how it is undone is not known yet. */
export function predict(
  state: GraphState,
  intent: Intent,
  onConflict: OnConflict | undefined,
  past: Past | null,
): readonly GraphEvent[] | null {
  if (intent.type !== 'UNDO') {
    const decision = decide(state, intent)
    return decision.ok ? decision.events : null
  }
  if (decideUndo === null || past === null) return null
  // An operation without a version is newer than all that have one.
  const operations = intent.targets.map(({ operationId, version }) => ({
    operationId,
    version: version ?? Number.MAX_SAFE_INTEGER,
  }))
  const known = (operationId: string): readonly Change[] | undefined => past.get(operationId)
  const undone = decideUndo(state, operations, onConflict === undefined ? { known } : { known, onConflict })
  return undone.ok ? undone.events : null
}

/** What an undo writes, on this state. */
export function undoFootprint(
  state: GraphState,
  targets: readonly Target[],
  onConflict: OnConflict | undefined,
  past: Past | null,
): Footprint {
  return { reads: [], writes: writesOf(predict(state, { type: 'UNDO', targets }, onConflict, past) ?? []) }
}
