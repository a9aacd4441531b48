/** What commits wrote to entities, for the model server to judge by. Written from the rules, without the SDK's own paths. */

import type { Json, JsonObject } from '../api.ts'
import type { Entity, EntityKind, GraphEvent } from '../model/index.ts'
import type { Commit } from './commit.ts'

/** The keys that lead to a field; none: the whole entity. */
export type Keys = readonly string[]

/** One write to an entity. */
export interface Write {
  readonly commit: Commit
  readonly event: GraphEvent
  /** Whether another user or client made it (rule D1). */
  readonly isTheirs: boolean
}

export function aboutOf(event: GraphEvent): Entity {
  if ('node' in event) return { kind: 'node', id: event.node.id }
  if ('nodeId' in event) return { kind: 'node', id: event.nodeId }
  if ('edge' in event) return { kind: 'edge', id: event.edge.id }
  if ('edgeId' in event) return { kind: 'edge', id: event.edgeId }
  const kind = event.type === 'ViewportSet' ? 'viewport' : 'graph'
  return { kind, id: kind }
}

/** The fields that an event writes (rule D2). */
export function fieldsOf(event: GraphEvent): Keys[] {
  switch (event.type) {
    case 'NodeUpdated':
      return leavesOf(event.patch, 'node')
    case 'EdgeUpdated':
      return leavesOf(event.patch, 'edge')
    case 'GraphUpdated':
      return leavesOf(event.patch, 'graph')
    case 'NodeMoved':
      return [['position']]
    case 'GraphTrashed':
    case 'GraphRecovered':
    case 'GraphForked':
    case 'VersionLabelled':
      return []
    default:
      return [[]]
  }
}

/** The leaves of a patch; of a node's, the position is one. */
export function leavesOf(patch: JsonObject, kind: EntityKind): Keys[] {
  return Object.entries(patch).flatMap(([key, value]) => {
    const isWhole = kind === 'node' && key === 'position'
    return isWhole ? [[key]] : below(value).map((keys) => [key, ...keys])
  })
}

function below(value: Json): Keys[] {
  const fields = typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.entries(value) : []
  if (fields.length === 0) return [[]]
  return fields.flatMap(([key, inner]) => below(inner).map((keys) => [key, ...keys]))
}

/** Whether one field is the other, is in it, or holds it. */
export function meet(one: Keys, other: Keys): boolean {
  const length = Math.min(one.length, other.length)
  return one.slice(0, length).every((key, at) => key === other[at])
}

export function isDeletionOf(event: GraphEvent): boolean {
  return event.type === 'NodeDeleted' || event.type === 'EdgeDeleted'
}

/** Whether it did more than move a node. */
export function isWork(event: GraphEvent): boolean {
  return fieldsOf(event).some((keys) => keys[0] !== 'position') || fieldsOf(event).length === 0
}

export function pointerOf(keys: Keys): string {
  return keys.map((key) => `/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}
