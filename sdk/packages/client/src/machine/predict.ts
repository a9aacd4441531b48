/** What an operation will do, as far as this client can know (rules A3, U13). */

import type { OnConflict } from '../api.ts'
import {
  type Change,
  decide,
  decideUndo,
  type Footprint,
  type GraphEvent,
  type GraphState,
  writesOf,
} from '../model/index.ts'
import type { Intent, Target } from './operation.ts'

/** What own operations changed, by operation. Those that are not there can be undone, and nothing is predicted. */
export type Past = ReadonlyMap<string, readonly Change[]>

/** The events of the operation on this state; `null`: it would be refused. */
export function predict(
  state: GraphState,
  intent: Intent,
  onConflict: OnConflict | undefined,
  past: Past,
): readonly GraphEvent[] | null {
  if (intent.type !== 'UNDO') {
    const decision = decide(state, intent)
    return decision.ok ? decision.events : null
  }
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
  past: Past,
): Footprint {
  return { reads: [], writes: writesOf(predict(state, { type: 'UNDO', targets }, onConflict, past) ?? []) }
}
