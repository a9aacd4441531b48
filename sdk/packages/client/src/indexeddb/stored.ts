/** What of a device can be read: what is damaged is as if it were not there. */

import type { StoredCommit, StoredGraph } from '../machine/effects.ts'
import type { Point, StoredOperation } from '../machine/operation.ts'
import type { StoredHistory } from '../machine/undo_stack.ts'
import type { StateJson } from '../model/index.ts'

/** State and commits, if they fit each other: what is damaged is got from the server again (rule P4). */
export function graphOf(checkpoint: unknown, tail: unknown): Pick<StoredGraph, 'checkpoint' | 'tail'> {
  const found = checkpoint as { point: Point; state: StateJson } | undefined
  const isWhole =
    typeof found?.point?.version === 'number' &&
    typeof found.point.hash === 'string' &&
    Array.isArray(found.state?.nodes) &&
    Array.isArray(found.state.edges)
  if (!isWhole || found === undefined || !Array.isArray(tail)) return { checkpoint: null, tail: [] }
  const commits = tail as StoredCommit[]
  const fits = commits.every(
    (commit, at) => commit.version === found.point.version + 1 + at && Array.isArray(commit.events),
  )
  return fits
    ? { checkpoint: { point: found.point, state: found.state }, tail: commits }
    : { checkpoint: null, tail: [] }
}

export function historyOf(found: unknown): StoredHistory | null {
  const history = (found as { history?: StoredHistory } | null | undefined)?.history
  return Array.isArray(history?.undo) && Array.isArray(history.redo) ? history : null
}

export function isOperation(found: unknown): found is StoredOperation {
  const { intent, seq, base, dependsOn, reads, writes } = (found ?? {}) as Partial<StoredOperation>
  return (
    typeof intent?.type === 'string' &&
    typeof seq === 'number' &&
    typeof base?.version === 'number' &&
    [dependsOn, reads, writes].every(Array.isArray)
  )
}
