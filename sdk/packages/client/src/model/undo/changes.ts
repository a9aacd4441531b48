/** What one operation did to each entity: what undoing it asks for (rule U3). */

import type { GraphEdge, GraphNode, JsonObject } from '../../api.ts'
import { type Entity, entityOf, type GraphEvent, isDeletion } from '../event.ts'
import type { GraphState, Place } from '../state.ts'

/** What an operation did to one entity. Plain JSON. */
export interface Change extends Entity {
  /** What stood there; absent if nothing did. */
  readonly before?: JsonObject
  readonly after?: JsonObject
  /** Where in creation order it stood, if it was deleted. */
  readonly place?: Place
  /** Whether it was deleted, and something else created under its id. */
  readonly isExchange?: true
}

/** What the events of one operation did, on the state that they were applied to; in the order of the events. */
export function remember(before: GraphState, events: readonly GraphEvent[]): Change[] {
  const after = before.fork()
  const touched = new Map<string, { entity: Entity; isDeleted: boolean }>()
  for (const event of events) {
    after.apply(event, { version: 0, timestamp: 0 })
    const entity = entityOf(event)
    if (entity === null || BESIDE.includes(event.type)) continue
    const key = keyOf(entity)
    const known = touched.get(key) ?? { entity, isDeleted: false }
    touched.set(key, { ...known, isDeleted: known.isDeleted || isDeletion(event) })
  }
  return [...touched.values()].map(({ entity, isDeleted }) => {
    const [was, is] = [standing(before, entity), standing(after, entity)]
    const isExchange = was !== undefined && is !== undefined && isDeleted
    const place = is === undefined || isExchange ? placeOf(before, entity) : undefined
    return {
      ...entity,
      ...(was && { before: was }),
      ...(is && { after: is }),
      ...(place && { place }),
      ...(isExchange && { isExchange }),
    }
  })
}

/** Events about what a graph has beside its attributes: an undo leaves that alone. */
const BESIDE = ['GraphTrashed', 'GraphRecovered', 'GraphForked', 'VersionLabelled']

export function keyOf({ kind, id }: Entity): string {
  return `${kind} ${id}`
}

/** The entity as JSON; `undefined` if it is not there. */
export function standing(state: GraphState, { kind, id }: Entity): JsonObject | undefined {
  switch (kind) {
    case 'node':
      return jsonOf(state.nodes.get(id)?.entity)
    case 'edge':
      return jsonOf(state.edges.get(id)?.entity)
    case 'viewport':
      return state.viewport
    case 'graph':
      return state.attributes
  }
}

export function placeOf(state: GraphState, { kind, id }: Entity): Place | undefined {
  const row = kind === 'node' ? state.nodes.get(id) : kind === 'edge' ? state.edges.get(id) : undefined
  return row && { ordinal: row.ordinal, createdAt: row.createdAt }
}

function jsonOf(entity: GraphNode | GraphEdge | undefined): JsonObject | undefined {
  return entity as unknown as JsonObject | undefined
}
