/**
 * `decide(state, action)`: the events that an action makes on a state, or the server's refusal.
 *
 * An empty list of events means that the graph already is as asked (rule C1). The answers are those of the server for an
 * action that others' commits don't conflict with. Conflicts are the server's to judge.
 */

import type { GraphEdge, GraphNode, Json, JsonObject, Position } from '../api.ts'
import { checkParents, edgesOfAll, withDescendants } from './ancestry.ts'
import { decideBatchUpdate } from './batch_update.ts'
import {
  checkEdgeSize,
  checkEnds,
  checkNodeSize,
  edgeNotFound,
  idTaken,
  isViewport,
  nodeNotFound,
  setViewport,
  tooMany,
} from './checks.ts'
import { type Action, ATTRIBUTES_BYTES_MAX, type Batch, type Command, DEFAULT_LIMITS, type Limits } from './command.ts'
import {
  edgeFrom,
  hasSameParents,
  isPosition,
  nodeFrom,
  patchedEdge,
  patchedNode,
  problemOf,
  withoutServerFields,
} from './entity.ts'
import type { GraphEvent } from './event.ts'
import { get, isEqual, isObject } from './json.ts'
import { mergeFields } from './patch.ts'
import { type Refused, refused } from './refused.ts'
import { exceeds } from './size.ts'
import type { GraphState } from './state.ts'

/** The events of an accepted action. */
export interface Decided {
  readonly ok: true
  readonly events: readonly GraphEvent[]
  /** The members of an atomic batch that are left out (rule H11). */
  readonly skipped: readonly { readonly index: number; readonly code: string }[]
}

export type Decision = Decided | Refused

/** Decides an action. It never throws: what can't be read is refused with `BAD_REQUEST`. */
export function decide(state: GraphState, action: Action, limits: Limits = DEFAULT_LIMITS): Decision {
  if (action.type === 'BATCH') return decideBatch(state, action, limits)
  const decided = decideCommand(state, action, limits)
  return Array.isArray(decided) ? { ok: true, events: decided, skipped: [] } : (decided as Refused)
}

/** The events of one command, or its refusal. */
export function decideCommand(state: GraphState, command: Command, limits: Limits): readonly GraphEvent[] | Refused {
  const malformed = problemOfCommand(command)
  if (malformed !== null) return refused('BAD_REQUEST', malformed)
  const closed = checkOpen(state, command)
  if (closed !== null) return closed
  switch (command.type) {
    case 'CREATE_NODE':
      return createNode(state, nodeFrom(command.payload), limits)
    case 'UPDATE_NODE':
      return updateNode(state, command.payload.nodeId, patchFrom(command.payload.updates), limits)
    case 'UPDATE_NODE_POSITION':
      return moveNode(state, command.payload.nodeId, command.payload.position)
    case 'DELETE_NODE':
      return deleteNode(state, command.payload.nodeId)
    case 'CREATE_EDGE':
      return createEdge(state, edgeFrom(command.payload), limits)
    case 'UPDATE_EDGE':
      return updateEdge(state, command.payload.edgeId, patchFrom(command.payload.updates), limits)
    case 'DELETE_EDGE': {
      const { edgeId } = command.payload
      return state.edges.has(edgeId) ? [{ type: 'EdgeDeleted', edgeId }] : edgeNotFound(edgeId)
    }
    case 'SET_VIEWPORT':
      return setViewport(state, command.payload)
    case 'BATCH_UPDATE':
      return decideBatchUpdate(state, command.payload, limits)
    case 'UPDATE_GRAPH':
      return updateGraph(state, command.payload.updates)
    default:
      return refused('BAD_REQUEST', `Unknown command type ${JSON.stringify((command as { type: unknown }).type)}`)
  }
}

/** Each member on the state after the members before it; all or nothing. */
function decideBatch(state: GraphState, batch: Batch, limits: Limits): Decision {
  const then = state.fork()
  const events: GraphEvent[] = []
  const skipped: { index: number; code: string }[] = []
  const created = batch.ifMissing === 'skip' ? createdBy(batch) : null
  for (const [index, member] of batch.operations.entries()) {
    const decided = decideCommand(then, member, limits)
    if (isRefused(decided)) {
      if (created === null || !isSkippable(member, decided.code, created)) return { ...decided, index }
      skipped.push({ index, code: decided.code })
      continue
    }
    for (const event of decided) {
      then.apply(event, NOWHERE)
      events.push(event)
    }
  }
  return { ok: true, events, skipped }
}

/** Members are decided on a copy that nobody sees; which commit wrote it does not matter. */
const NOWHERE = { version: 0, timestamp: 0 }

function isRefused(decided: readonly GraphEvent[] | Refused): decided is Refused {
  return !Array.isArray(decided)
}

function isSkippable(member: Command, code: string, created: Set<string>): boolean {
  if (code !== 'NODE_NOT_FOUND' && code !== 'EDGE_NOT_FOUND') return false
  const key = targetKey(member)
  return key !== null && !created.has(key)
}

/** The target of a command that has one. */
function targetKey(command: Command): string | null {
  switch (command.type) {
    case 'CREATE_NODE':
      return `node ${command.payload.id}`
    case 'UPDATE_NODE':
    case 'UPDATE_NODE_POSITION':
    case 'DELETE_NODE':
      return `node ${command.payload.nodeId}`
    case 'CREATE_EDGE':
      return `edge ${command.payload.id}`
    case 'UPDATE_EDGE':
    case 'DELETE_EDGE':
      return `edge ${command.payload.edgeId}`
    case 'SET_VIEWPORT':
    case 'UPDATE_GRAPH':
    case 'BATCH_UPDATE':
      return null
    default:
      return null
  }
}

/** What the batch itself creates must be there: a member that misses it is a mistake in the batch. */
function createdBy(batch: Batch): Set<string> {
  const created = new Set<string>()
  for (const member of batch.operations) {
    if (member.type === 'CREATE_NODE' || member.type === 'CREATE_EDGE') created.add(targetKey(member) as string)
    if (member.type !== 'BATCH_UPDATE') continue
    const { nodes = [], edges = [] } = member.payload
    const ids = Array.isArray(nodes) ? nodes.map((node: JsonObject) => node.id) : Object.keys(nodes)
    for (const id of ids) created.add(`node ${id}`)
    for (const edge of edges) created.add(`edge ${edge.id}`)
  }
  return created
}

/** Rules L8 and L14. */
function checkOpen(state: GraphState, command: Command): Refused | null {
  if (state.trashed !== null) return refused('GRAPH_TRASHED', 'This graph is in the trash')
  if (command.type === 'UPDATE_GRAPH') return null
  const settings = get(state.attributes, 'settings')
  const isReadOnly = isObject(settings) && get(settings, 'readOnly') === true
  return isReadOnly ? refused('GRAPH_READ_ONLY', 'This graph is read-only: its setting `readOnly` is true') : null
}

function createNode(state: GraphState, node: GraphNode, limits: Limits): readonly GraphEvent[] | Refused {
  const found = state.nodes.get(node.id)
  if (found !== undefined) {
    return isEqual(found.entity as Json, node as Json) ? [] : idTaken('node', node.id)
  }
  if (state.nodes.size >= limits.nodes) return tooMany('nodes', limits.nodes)
  return checkNodeSize(node, limits) ?? checkParents(state, node) ?? [{ type: 'NodeCreated', node }]
}

function updateNode(
  state: GraphState,
  nodeId: string,
  patch: JsonObject,
  limits: Limits,
): readonly GraphEvent[] | Refused {
  const old = state.nodes.get(nodeId)?.entity
  if (old === undefined) return nodeNotFound(nodeId)
  const node = patchedNode(old, patch)
  if (node === old) return []
  const problem = checkNodeSize(node, limits) ?? (hasSameParents(old, node) ? null : checkParents(state, node))
  return problem ?? [{ type: 'NodeUpdated', nodeId, patch }]
}

function moveNode(state: GraphState, nodeId: string, position: Position): readonly GraphEvent[] | Refused {
  const old = state.nodes.get(nodeId)?.entity.position
  if (old === undefined) return nodeNotFound(nodeId)
  return old.x === position.x && old.y === position.y ? [] : [{ type: 'NodeMoved', nodeId, position }]
}

/** Edges first, then nodes, children before parents. */
function deleteNode(state: GraphState, id: string): readonly GraphEvent[] | Refused {
  const going = withDescendants(state, id)
  if (going.length === 0) return nodeNotFound(id)
  const edges = edgesOfAll(state, going).map((edgeId): GraphEvent => ({ type: 'EdgeDeleted', edgeId }))
  return [...edges, ...going.reverse().map((node): GraphEvent => ({ type: 'NodeDeleted', nodeId: node.id }))]
}

function createEdge(state: GraphState, edge: GraphEdge, limits: Limits): readonly GraphEvent[] | Refused {
  const found = state.edges.get(edge.id)
  if (found !== undefined) {
    return isEqual(found.entity as Json, edge as Json) ? [] : idTaken('edge', edge.id)
  }
  if (state.edges.size >= limits.edges) return tooMany('edges', limits.edges)
  return checkEdgeSize(edge, limits) ?? checkEnds(state, edge) ?? [{ type: 'EdgeCreated', edge }]
}

function updateEdge(
  state: GraphState,
  edgeId: string,
  patch: JsonObject,
  limits: Limits,
): readonly GraphEvent[] | Refused {
  const old = state.edges.get(edgeId)?.entity
  if (old === undefined) return edgeNotFound(edgeId)
  const edge = patchedEdge(old, patch)
  if (edge === old) return []
  return checkEdgeSize(edge, limits) ?? checkEnds(state, edge) ?? [{ type: 'EdgeUpdated', edgeId, patch }]
}

function updateGraph(state: GraphState, patch: JsonObject): readonly GraphEvent[] | Refused {
  const attributes = mergeFields(state.attributes, patch, [])
  if (attributes === state.attributes) return []
  if (exceeds(attributes, ATTRIBUTES_BYTES_MAX)) {
    return refused('TOO_LARGE', `The attributes would be larger than ${ATTRIBUTES_BYTES_MAX} bytes`)
  }
  return [{ type: 'GraphUpdated', patch }]
}

/** The fields that an update may write: an `id` is ignored, and so is what the server adds (rule G2). */
export function patchFrom(updates: JsonObject): JsonObject {
  const patch = withoutServerFields(updates)
  if (!Object.hasOwn(patch, 'id')) return patch
  const { id: _, ...rest } = patch
  return rest
}

/** What makes a command malformed, with the place; `null` if nothing does. */
function problemOfCommand(command: Command): string | null {
  const { payload } = command as { payload: unknown }
  if (!isObject(payload)) return 'payload: must be an object'
  switch (command.type) {
    case 'CREATE_NODE':
      return problemOf('node', payload, false)
    case 'CREATE_EDGE':
      return problemOf('edge', payload, false)
    case 'UPDATE_NODE':
      return problemOfUpdates('node', payload.nodeId, payload.updates)
    case 'UPDATE_EDGE':
      return problemOfUpdates('edge', payload.edgeId, payload.updates)
    case 'UPDATE_NODE_POSITION':
      return isPosition(payload.position) ? null : 'position: must be {x, y} with finite numbers'
    case 'SET_VIEWPORT':
      return isViewport(payload) ? null : 'payload: must be {x, y, zoom} with finite numbers and a zoom above 0'
    case 'UPDATE_GRAPH':
      return isObject(payload.updates) ? null : 'updates: must be an object'
    default:
      return null
  }
}

function problemOfUpdates(kind: 'node' | 'edge', id: Json | undefined, updates: Json | undefined): string | null {
  if (!isObject(updates)) return 'updates: must be an object'
  if (Object.hasOwn(updates, 'id') && updates.id !== id) return "updates.id: an id can't be changed"
  return problemOf(kind, patchFrom(updates), true)
}
