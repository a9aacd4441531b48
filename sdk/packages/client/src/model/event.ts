/** The events of a commit, as `STATE_UPDATE` carries them, and the kinds of things that they are about. */

import type { GraphEdge, GraphNode, JsonObject, Position } from '../api.ts'

export type Viewport = {
  x: number
  y: number
  zoom: number
}

/** One change of one entity. Other types than these are passed over: a later server may send some. */
export type GraphEvent =
  | { type: 'NodeCreated' | 'NodeReplaced'; node: GraphNode }
  | { type: 'NodeUpdated'; nodeId: string; patch: JsonObject }
  | { type: 'NodeMoved'; nodeId: string; position: Position }
  | { type: 'NodeDeleted'; nodeId: string }
  | { type: 'NodeRestored'; node: GraphNode; ordinal: number; createdAt: number }
  | { type: 'EdgeCreated' | 'EdgeReplaced'; edge: GraphEdge }
  | { type: 'EdgeUpdated'; edgeId: string; patch: JsonObject }
  | { type: 'EdgeDeleted'; edgeId: string }
  | { type: 'EdgeRestored'; edge: GraphEdge; ordinal: number; createdAt: number }
  | { type: 'ViewportSet'; viewport: Viewport }
  | { type: 'GraphCreated'; attributes: JsonObject; from?: JsonObject }
  | { type: 'GraphUpdated'; patch: JsonObject }
  | { type: 'GraphTrashed'; reason?: string; movedTo?: string; purgeAfter?: number }
  | { type: 'GraphRecovered' }
  | { type: 'GraphForked'; graphId: string; version: number; hash: string }
  | { type: 'VersionLabelled'; name: string; version?: number; hash?: string; note?: string }

export type EntityKind = 'node' | 'edge' | 'viewport' | 'graph'

/** A node or an edge by its id; the viewport and the graph's attributes have their kind as id. */
export interface Entity {
  readonly kind: EntityKind
  readonly id: string
}

/** The commit that an event is part of. Times are Unix milliseconds. */
export interface At {
  readonly version: number
  readonly timestamp: number
  /** Whether the commit is not there yet: places in creation order that the event names are this client's. */
  readonly isPredicted?: boolean
}

/** The entity that an event is about; `null` for types that are not known. */
export function entityOf(event: GraphEvent): Entity | null {
  switch (event.type) {
    case 'NodeCreated':
    case 'NodeReplaced':
    case 'NodeRestored':
      return { kind: 'node', id: event.node.id }
    case 'NodeUpdated':
    case 'NodeMoved':
    case 'NodeDeleted':
      return { kind: 'node', id: event.nodeId }
    case 'EdgeCreated':
    case 'EdgeReplaced':
    case 'EdgeRestored':
      return { kind: 'edge', id: event.edge.id }
    case 'EdgeUpdated':
    case 'EdgeDeleted':
      return { kind: 'edge', id: event.edgeId }
    case 'ViewportSet':
      return { kind: 'viewport', id: 'viewport' }
    case 'GraphCreated':
    case 'GraphUpdated':
    case 'GraphTrashed':
    case 'GraphRecovered':
    case 'GraphForked':
    case 'VersionLabelled':
      return { kind: 'graph', id: 'graph' }
    default:
      return null
  }
}

/** Whether the entity is gone after the event. */
export function isDeletion(event: GraphEvent): boolean {
  return event.type === 'NodeDeleted' || event.type === 'EdgeDeleted'
}
