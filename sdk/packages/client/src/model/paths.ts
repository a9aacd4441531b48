/**
 * What actions read and write, as paths (rule D2): to find out whether one builds on another or hides what it wrote (rules
 * A4 and A7).
 */

import type { JsonObject } from '../api.ts'
import { edgesOfAll, withDescendants } from './ancestry.ts'
import type { Action, Command } from './command.ts'
import { type Entity, type EntityKind, entityOf, type GraphEvent } from './event.ts'
import { get } from './json.ts'
import { leaves } from './patch.ts'
import type { GraphState } from './state.ts'

/** A field of an entity as a JSON Pointer; `""` is the whole entity. `/position` is one field, whatever part is meant. */
export interface Written extends Entity {
  readonly path: string
}

/** What an action needs to be there, and what it writes. */
export interface Footprint {
  readonly reads: readonly Entity[]
  readonly writes: readonly Written[]
}

/** The footprint of an action as its author makes it on this state. */
export function footprint(state: GraphState, action: Action): Footprint {
  if (action.type !== 'BATCH') return ofCommand(state, action)
  const parts = action.operations.map((member) => ofCommand(state, member))
  return { reads: parts.flatMap((part) => part.reads), writes: parts.flatMap((part) => part.writes) }
}

function ofCommand(state: GraphState, command: Command): Footprint {
  switch (command.type) {
    case 'CREATE_NODE': {
      const { payload } = command
      return { reads: parentsIn(payload), writes: [written('node', payload.id, '')] }
    }
    case 'UPDATE_NODE': {
      const { nodeId, updates } = command.payload
      const writes = leaves(updates, true).map((path) => written('node', nodeId, path))
      return { reads: [node(nodeId), ...parentsIn(updates)], writes }
    }
    case 'UPDATE_NODE_POSITION': {
      const { nodeId } = command.payload
      return { reads: [node(nodeId)], writes: [written('node', nodeId, '/position')] }
    }
    case 'DELETE_NODE': {
      const { nodeId } = command.payload
      const going = withDescendants(state, nodeId)
      const nodes = going.length > 0 ? going.map(({ id }) => id) : [nodeId]
      const edges = edgesOfAll(state, going)
      const writes = [...nodes.map((id) => written('node', id, '')), ...edges.map((id) => written('edge', id, ''))]
      return { reads: [node(nodeId)], writes }
    }
    case 'CREATE_EDGE': {
      const { payload } = command
      return { reads: endsIn(payload), writes: [written('edge', payload.id, '')] }
    }
    case 'UPDATE_EDGE': {
      const { edgeId, updates } = command.payload
      const writes = leaves(updates, false).map((path) => written('edge', edgeId, path))
      return { reads: [{ kind: 'edge', id: edgeId }, ...endsIn(updates)], writes }
    }
    case 'DELETE_EDGE': {
      const { edgeId } = command.payload
      return { reads: [{ kind: 'edge', id: edgeId }], writes: [written('edge', edgeId, '')] }
    }
    case 'SET_VIEWPORT':
      return { reads: [], writes: [written('viewport', 'viewport', '')] }
    case 'BATCH_UPDATE':
      return ofBatchUpdate(state, command.payload)
    case 'UPDATE_GRAPH':
      return {
        reads: [],
        writes: leaves(command.payload.updates, false).map((path) => written('graph', 'graph', path)),
      }
    default:
      return { reads: [], writes: [] }
  }
}

/** Its targets are all entities that it names, and the edges that it removes (rule D2). */
function ofBatchUpdate(
  state: GraphState,
  payload: { nodes?: readonly JsonObject[] | JsonObject; edges?: readonly JsonObject[]; viewport?: unknown },
): Footprint {
  const { nodes = [], edges, viewport } = payload
  const named = Array.isArray(nodes)
    ? nodes
    : Object.entries(nodes).map(([id, fields]) => ({ ...(fields as JsonObject), id }))
  const created = new Set<unknown>(named.map((fields: JsonObject) => fields.id))
  const reads = [...named.flatMap(parentsIn), ...(edges ?? []).flatMap(endsIn)].filter(({ id }) => !created.has(id))
  const writes = named.map((fields: JsonObject) => written('node', String(fields.id), ''))
  if (edges !== undefined) {
    const ids = new Set(edges.map((fields) => String(fields.id)))
    state.edges.rows.each((row) => ids.add(row.entity.id))
    for (const id of ids) writes.push(written('edge', id, ''))
  }
  if (viewport !== undefined) writes.push(written('viewport', 'viewport', ''))
  return { reads, writes }
}

/** What these events write. */
export function writesOf(events: readonly GraphEvent[]): Written[] {
  return events.flatMap((event) => {
    const entity = entityOf(event)
    return entity === null ? [] : pathsOf(event).map((path) => ({ ...entity, path }))
  })
}

/** The paths that an event writes in its entity: the leaves of a patch, or `""` for all of it. */
export function pathsOf(event: GraphEvent): string[] {
  switch (event.type) {
    case 'NodeUpdated':
      return leaves(event.patch, true)
    case 'EdgeUpdated':
    case 'GraphUpdated':
      return leaves(event.patch, false)
    case 'NodeMoved':
      return ['/position']
    case 'GraphTrashed':
    case 'GraphRecovered':
      return ['/trashed']
    case 'VersionLabelled':
      return [`/labels/${event.name}`]
    default:
      return entityOf(event) === null ? [] : ['']
  }
}

/** Whether writing one path of an entity touches the other: they are equal, or one is above the other. */
export function pathsOverlap(a: string, b: string): boolean {
  const [short, long] = a.length <= b.length ? [a, b] : [b, a]
  return long.startsWith(short) && (long.length === short.length || long[short.length] === '/')
}

/** Whether any of these fields is, contains, or is part of any of those. */
export function overlaps(a: readonly Written[], b: readonly Written[]): boolean {
  return a.some((x) => b.some((y) => x.id === y.id && x.kind === y.kind && pathsOverlap(x.path, y.path)))
}

/** Whether what is written makes, changes or removes one of the entities that are read. */
export function touches(writes: readonly Written[], reads: readonly Entity[]): boolean {
  return reads.some((read) => writes.some((write) => write.id === read.id && write.kind === read.kind))
}

function written(kind: EntityKind, id: string, path: string): Written {
  return { kind, id, path }
}

function node(id: string): Entity {
  return { kind: 'node', id }
}

function parentsIn(fields: JsonObject): Entity[] {
  return nodesIn(fields, ['parentId', 'parentNode'])
}

function endsIn(fields: JsonObject): Entity[] {
  return nodesIn(fields, ['source', 'target'])
}

function nodesIn(fields: JsonObject, keys: readonly string[]): Entity[] {
  return keys.flatMap((key) => {
    const id = get(fields, key)
    return typeof id === 'string' ? [node(id)] : []
  })
}
