/**
 * `UNDO`, decided from what a client knows (rules U): operations are taken back one after the other, the newest first, on
 * a copy of the graph; the events are the difference.
 *
 * The server has the whole history. A client predicts from what it remembered of its own operations, so an operation that
 * it does not know makes no events here.
 */

import type { GraphNode, OnConflict } from '../../api.ts'
import { DEFAULT_LIMITS, type Limits } from '../command.ts'
import type { Entity, GraphEvent } from '../event.ts'
import { type Refused, refused } from '../refused.ts'
import type { GraphState } from '../state.ts'
import type { Change } from './changes.ts'
import { netEvents } from './net.ts'
import { type Skipped, type Step, Taking } from './taking.ts'

export interface Undoing {
  /** What {@link remember} gave for an operation; `undefined` if the client does not know it. */
  readonly known: (operationId: string) => readonly Change[] | undefined
  /**
   * Whether somebody other than the authors of the operations created or updated the entity after this version (rule U6;
   * moves and deletions don't count). Left out: nobody did.
   */
  readonly others?: (entity: Entity, since: number) => boolean
  /** A node that is not there any more, as it was last; left out, only what the operations deleted is known. */
  readonly gone?: (id: string) => GraphNode | undefined
  readonly onConflict?: OnConflict
  readonly limits?: Limits
  /** {@link tell} for who shows what came of it; left out, the result may name more. */
  readonly tell?: (head: GraphState, taking: Taking) => void
}

export interface Undone {
  readonly ok: true
  readonly events: readonly GraphEvent[]
  readonly result: {
    readonly reverted: readonly { entity: string; id: string; paths: readonly string[] }[]
    readonly skipped: readonly Skipped[]
    readonly detached: readonly string[]
  }
}

/** Everything that could not be put back. */
export interface UndoRefused extends Refused {
  readonly skipped: readonly Skipped[]
}

/** Decides an `UNDO` of these operations. */
export function decideUndo(
  state: GraphState,
  operations: readonly { readonly operationId: string; readonly version: number }[],
  { known, others = () => false, gone = () => undefined, onConflict = 'merge', limits = DEFAULT_LIMITS, tell }: Undoing,
): Undone | UndoRefused {
  const steps: Step[] = []
  for (const { operationId, version } of operations) {
    const changes = known(operationId)
    if (changes !== undefined) steps.push({ version, changes })
  }
  // Later ones of equal versions stand later in the list.
  steps.reverse().sort((a, b) => b.version - a.version)
  const taking = new Taking(state, steps, { others, gone, onConflict, limits })
  for (const step of steps) taking.takeBack(step)
  tell?.(state, taking)
  const events = netEvents(state, taking.graph, taking.touched.values(), limits)
  const { skipped, detached } = taking
  if (skipped.length > 0 && (onConflict !== 'merge' || events.length === 0)) {
    return { ...refused('UNDO_CONFLICT', 'Undoing this would overwrite what others did'), skipped }
  }
  return { ok: true, events, result: { reverted: [...taking.reverted.values()], skipped, detached } }
}
