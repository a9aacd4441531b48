/** Checks that several commands share (rules G4 and O3). Each gives the refusal, or `null`. */

import type { GraphEdge, GraphNode, Json, JsonObject } from '../api.ts'
import type { Limits } from './command.ts'
import type { GraphEvent, Viewport } from './event.ts'
import { get, isEqual, isObject } from './json.ts'
import { type Refused, refused } from './refused.ts'
import { exceeds } from './size.ts'
import type { GraphState } from './state.ts'

export function nodeNotFound(id: string): Refused {
  return refused('NODE_NOT_FOUND', `Node ${id} does not exist`)
}

export function edgeNotFound(id: string): Refused {
  return refused('EDGE_NOT_FOUND', `Edge ${id} does not exist`)
}

export function setViewport(state: GraphState, viewport: Viewport): readonly GraphEvent[] {
  return isEqual(state.viewport, viewport) ? [] : [{ type: 'ViewportSet', viewport }]
}

export function checkNodeSize(node: GraphNode, limits: Limits): Refused | null {
  return exceeds(node as unknown as JsonObject, limits.entityBytes) ? tooLarge(`Node ${node.id}`, limits) : null
}

export function checkEdgeSize(edge: GraphEdge, limits: Limits): Refused | null {
  return exceeds(edge as unknown as JsonObject, limits.entityBytes) ? tooLarge(`Edge ${edge.id}`, limits) : null
}

/** Both ends exist (rule G4). */
export function checkEnds(state: GraphState, edge: GraphEdge): Refused | null {
  for (const field of ['source', 'target'] as const) {
    const missing = edge[field]
    if (state.nodes.has(missing)) continue
    const about = { kind: 'edge' as const, id: edge.id, field, missing }
    return refused('DANGLING_EDGE', `${field} ${missing} of edge ${edge.id} does not exist`, about)
  }
  return null
}

/** An entity with this id and other content exists (rule D4). */
export function idTaken(kind: 'node' | 'edge', id: string): Refused {
  return refused('ID_TAKEN', `${kind === 'node' ? 'Node' : 'Edge'} ${id} exists already`, { kind, id })
}

function tooLarge(what: string, limits: Limits): Refused {
  return refused('TOO_LARGE', `${what} would be larger than ${limits.entityBytes} bytes`)
}

export function tooMany(what: string, max: number): Refused {
  return refused('TOO_LARGE', `The graph would have more than ${max} ${what}`)
}

/** Whether the value is a viewport (rule G4). */
export function isViewport(value: Json | undefined): value is { x: number; y: number; zoom: number } {
  if (!isObject(value) || Object.keys(value).length !== 3) return false
  const isNumber = (field: string): boolean => Number.isFinite(get(value, field))
  return isNumber('x') && isNumber('y') && isNumber('zoom') && (value.zoom as number) > 0
}
