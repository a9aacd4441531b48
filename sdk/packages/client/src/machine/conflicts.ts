/** Refusals in words (rules D7, M2). */

import type { Conflict } from '../api.ts'
import type { RefusalData } from './effects.ts'
import type { Disputed } from './frames.ts'

/** The entries of a `resolution`, in the terms of the client. */
export function conflictsOf(disputed: readonly Disputed[]): Conflict[] {
  return disputed.map(({ entity, id, path, yours, current, version, userId }) => {
    const conflict: Conflict = { entity, id }
    if (path !== '') conflict.path = path
    if (yours !== undefined) conflict.yours = yours
    if (current !== undefined) conflict.current = current
    if (userId !== undefined) conflict.by = userId
    if (version !== undefined) conflict.version = version
    return conflict
  })
}

/** What a person calls a node or edge; undefined where it has no name. */
export type NameOf = (id: string) => string | undefined

/** One sentence for a person. */
export function summaryOf({ code, message, conflicts, operation }: RefusalData, nameOf: NameOf): string {
  const thingOf = ({ entity, id }: Conflict): string => {
    if (entity !== 'node' && entity !== 'edge') return `the ${entity}`
    const name = id === undefined ? undefined : nameOf(id)
    return name === undefined ? `${entity} ${id}` : `“${name}”`
  }
  const placeOf = (conflict: Conflict): string => {
    const field = conflict.path?.split('/').at(-1)
    return field === undefined ? thingOf(conflict) : `${field} of ${thingOf(conflict)}`
  }
  const what = operation.label ? `“${operation.label}”` : 'Your change'
  const [first] = conflicts
  const others = conflicts.length > 1 ? ` and ${conflicts.length - 1} more` : ''
  switch (code) {
    case 'CONFLICT':
      if (first === undefined) return `${what} was not saved: somebody else changed the same field.`
      return `${what} was not saved: ${first.by ?? 'somebody else'} changed ${placeOf(first)}${others}.`
    case 'TARGET_DELETED':
      return `${what} was not saved: ${first?.by ?? 'somebody else'} deleted ${first ? thingOf(first) : 'it'}.`
    case 'UNDO_CONFLICT':
      return `Undo was not possible: ${first?.by ?? 'somebody else'} changed ${first ? placeOf(first) : 'it'} since.`
    case 'DEPENDENCY_REFUSED':
      return `${what} was not saved: it builds on a change that was refused.`
    case 'NODE_NOT_FOUND':
    case 'EDGE_NOT_FOUND':
    case 'DANGLING_EDGE':
    case 'PARENT_NOT_FOUND':
      return `${what} was not saved: what it belongs to does not exist any more.`
    case 'FORBIDDEN':
    case 'GRAPH_READ_ONLY':
      return `${what} was not saved: you may not change this graph.`
    case 'GRAPH_TRASHED':
      return `${what} was not saved: the graph is in the trash.`
    case 'expired':
      return `${what} waited too long: it can't be told whether it was saved.`
    case 'history_replaced':
      return `${what} was not saved: the graph was restored to another version.`
    default:
      return `${what} was not saved: ${message}`
  }
}
