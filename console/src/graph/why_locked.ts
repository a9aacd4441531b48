/** Why editing can't be unlocked. Pure. */
import { attributesOf } from '../shared/types.ts'
import type { GraphRow } from './wire_types.ts'

/** Null if it can be. */
export function whyLocked(row: GraphRow | undefined): string | null {
  if (row === undefined) return null
  if (row.access === 'read') return 'You may read this graph, not write it.'
  if (row.trashed !== undefined) return 'The graph is in the trash.'
  return attributesOf(row).readOnly ? 'The graph is read-only.' : null
}
