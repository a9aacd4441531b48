/** `BATCH_UPDATE`: nodes created or replaced by id, a whole edge set, the viewport; one event for each entity that changes. */

import type { GraphEdge, GraphNode, Json, JsonObject } from '../api.ts'
import { checkParents } from './ancestry.ts'
import { checkEdgeSize, checkEnds, checkNodeSize, isViewport, nodeNotFound, setViewport, tooMany } from './checks.ts'
import type { Limits } from './command.ts'
import { edgeFrom, nodeFrom, patchedEdge, problemOf } from './entity.ts'
import type { GraphEvent, Viewport } from './event.ts'
import { isEqual, isObject } from './json.ts'
import { between } from './patch.ts'
import { type Refused, refused } from './refused.ts'
import { exceeds } from './size.ts'
import { fold, type GraphState } from './state.ts'

/** How much larger than allowed an entity may be and still be compared field by field, in bytes. */
const COMPARED_BEYOND = 64 << 10

interface Document {
  readonly nodes: readonly GraphNode[]
  readonly edges?: readonly GraphEdge[]
  readonly viewport?: Viewport
}

/** Decides a `BATCH_UPDATE` with this payload. */
export function decideBatchUpdate(
  state: GraphState,
  payload: { nodes?: readonly JsonObject[] | JsonObject; edges?: readonly JsonObject[]; viewport?: Viewport },
  limits: Limits,
): readonly GraphEvent[] | Refused {
  const document = read(payload)
  if (typeof document === 'string') return refused('BAD_REQUEST', document)
  const { nodes, edges, viewport } = document
  const ofNodes = nodes.flatMap((node) => nodeChange(state, node, limits) ?? [])
  const ofEdges = edges === undefined ? [] : edgeSetChanges(state, edges, limits)
  const ofViewport = viewport === undefined ? [] : setViewport(state, viewport)
  const problem = check(state, ofNodes, ofEdges, edges, limits)
  return problem ?? [...ofNodes, ...ofEdges, ...ofViewport]
}

/** The document that a payload holds, or what is wrong with it. */
function read(payload: { nodes?: unknown; edges?: unknown; viewport?: unknown }): Document | string {
  const { nodes = [], edges, viewport } = payload
  const list = Array.isArray(nodes) ? nodes : isObject(nodes) ? entries(nodes) : null
  if (list === null || !(edges === undefined || edges === null || Array.isArray(edges))) {
    return 'payload: must be {nodes, edges, viewport}'
  }
  const all = [...list.map((node) => ['node', node] as const), ...(edges ?? []).map((edge) => ['edge', edge] as const)]
  const seen = new Set<string>()
  for (const [kind, fields] of all) {
    if (!isObject(fields)) return `${kind}: must be an object`
    const problem = problemOf(kind, fields, false)
    if (problem !== null) return problem
    const key = `${kind} ${fields.id}`
    if (seen.has(key)) return `${key} stands in the list more than once`
    seen.add(key)
  }
  if (!(viewport === undefined || viewport === null || isViewport(viewport as Json)))
    return 'viewport: must be {x, y, zoom}'
  return {
    nodes: list.map((node) => nodeFrom(node as JsonObject)),
    ...(edges ? { edges: edges.map((edge) => edgeFrom(edge as JsonObject)) } : {}),
    ...(viewport ? { viewport: viewport as Viewport } : {}),
  }
}

function entries(nodes: JsonObject): Json[] {
  return Object.keys(nodes).map((id) => {
    const node = nodes[id] as Json
    return isObject(node) && !Object.hasOwn(node, 'id') ? { id, ...node } : node
  })
}

/** The event that creates or changes a node, as a single command would where one can; `null` if there is nothing to do. */
export function nodeChange(state: GraphState, node: GraphNode, limits: Limits): GraphEvent | null {
  const old = state.nodes.get(node.id)?.entity
  if (old === undefined) return { type: 'NodeCreated', node }
  if (isEqual(old as Json, node as Json)) return null
  const isMoved = isEqual({ ...old, position: node.position } as unknown as Json, node as Json)
  if (isMoved) return { type: 'NodeMoved', nodeId: node.id, position: node.position }
  const isComparable = !exceeds(node as unknown as JsonObject, limits.entityBytes + COMPARED_BEYOND)
  const patch = isComparable ? between(old as unknown as JsonObject, node as unknown as JsonObject) : null
  return patch === null ? { type: 'NodeReplaced', node } : { type: 'NodeUpdated', nodeId: node.id, patch }
}

/** The same for an edge. */
export function edgeChange(state: GraphState, edge: GraphEdge, limits: Limits): GraphEvent | null {
  const old = state.edges.get(edge.id)?.entity
  if (old === undefined) return { type: 'EdgeCreated', edge }
  if (isEqual(old as Json, edge as Json)) return null
  const isComparable = !exceeds(edge as unknown as JsonObject, limits.entityBytes + COMPARED_BEYOND)
  const patch = isComparable ? between(old as unknown as JsonObject, edge as unknown as JsonObject) : null
  return patch === null ? { type: 'EdgeReplaced', edge } : { type: 'EdgeUpdated', edgeId: edge.id, patch }
}

/** Edges that are not given are deleted first. */
function edgeSetChanges(state: GraphState, edges: readonly GraphEdge[], limits: Limits): GraphEvent[] {
  const kept = new Set(edges.map((edge) => edge.id))
  const gone = state.edges.inOrder().filter((row) => !kept.has(row.entity.id))
  const deleted = gone.map((row): GraphEvent => ({ type: 'EdgeDeleted', edgeId: row.entity.id }))
  return [...deleted, ...edges.flatMap((edge) => edgeChange(state, edge, limits) ?? [])]
}

/** Rules G4 and O3, on the graph after the changes of nodes. */
function check(
  state: GraphState,
  ofNodes: readonly GraphEvent[],
  ofEdges: readonly GraphEvent[],
  edges: readonly GraphEdge[] | undefined,
  limits: Limits,
): Refused | null {
  const then = fold(state, ofNodes, { version: 0, timestamp: 0 })
  if (then.nodes.size > limits.nodes) return tooMany('nodes', limits.nodes)
  for (const event of ofNodes) {
    const id = 'node' in event ? event.node.id : (event as { nodeId: string }).nodeId
    const node = then.nodes.get(id)?.entity
    const problem = node === undefined ? nodeNotFound(id) : (checkNodeSize(node, limits) ?? checkParents(then, node))
    if (problem !== null) return problem
  }
  if (edges !== undefined && edges.length > limits.edges) return tooMany('edges', limits.edges)
  for (const event of ofEdges) {
    const edge = edgeAfter(state, event)
    const problem = edge && (checkEdgeSize(edge, limits) ?? checkEnds(then, edge))
    if (problem) return problem
  }
  return null
}

function edgeAfter(state: GraphState, event: GraphEvent): GraphEdge | null {
  if (event.type === 'EdgeCreated' || event.type === 'EdgeReplaced') return event.edge
  if (event.type !== 'EdgeUpdated') return null
  const old = state.edges.get(event.edgeId)
  return old === undefined ? null : patchedEdge(old.entity, event.patch)
}
