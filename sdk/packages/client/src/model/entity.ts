/** Nodes and edges by themselves: the fields that the server adds, parents, patches (rules G1, G2, G4). */

import type { GraphEdge, GraphNode, Json, JsonObject } from '../api.ts'
import { get, isObject, put } from './json.ts'
import { merge, mergeFields } from './patch.ts'

const SERVER_FIELDS = ['createdAt', 'updatedAt', 'version']
const PARENT_FIELDS = ['parentId', 'parentNode']
const NODE_FIELDS = ['id', 'position']
const EDGE_FIELDS = ['id', 'source', 'target']

/** The parents that a node names, with the field: `parentId`, and React Flow 11's `parentNode` if it names another. */
export function parentsOf(node: GraphNode): { field: string; id: string }[] {
  const [first, second] = [node.parentId, node.parentNode]
  const parents: { field: string; id: string }[] = []
  if (typeof first === 'string' && first !== '') parents.push({ field: 'parentId', id: first })
  if (typeof second === 'string' && second !== '' && second !== first) parents.push({ field: 'parentNode', id: second })
  return parents
}

/** Whether two nodes name the same parents. */
export function hasSameParents(a: GraphNode, b: GraphNode): boolean {
  return a.parentId === b.parentId && a.parentNode === b.parentNode
}

/** The fields without those that the server adds. The same object if there are none. */
export function withoutServerFields<T extends JsonObject>(fields: T): T {
  if (!SERVER_FIELDS.some((field) => Object.hasOwn(fields, field))) return fields
  // Fields are left out, not deleted: engines make objects slow from which fields were deleted.
  const kept: JsonObject = {}
  for (const key of Object.keys(fields)) if (!SERVER_FIELDS.includes(key)) put(kept, key, fields[key] as Json)
  return kept as T
}

/** A node as it is kept: with a position, without the fields that the server adds, without null parents. */
export function nodeFrom(fields: JsonObject): GraphNode {
  let node = withoutServerFields(fields)
  if (PARENT_FIELDS.some((field) => get(node, field) === null)) {
    node = { ...node }
    for (const field of PARENT_FIELDS) if (node[field] === null) delete node[field]
  }
  if (!isObject(get(node, 'position'))) node = { ...node, position: { x: 0, y: 0 } }
  return node as unknown as GraphNode
}

/** An edge as it is kept. */
export function edgeFrom(fields: JsonObject): GraphEdge {
  return withoutServerFields(fields) as unknown as GraphEdge
}

/** The node with the patch merged into it. A part that would leave no position is not merged. */
export function patchedNode(node: GraphNode, patch: JsonObject): GraphNode {
  const merged = mergeFields(node as unknown as JsonObject, patch, NODE_FIELDS) as unknown as GraphNode
  const part = get(patch, 'position')
  if (part === undefined) return merged
  const position = merge(node.position as unknown as Json, part)
  if (position === (node.position as unknown as Json) || !isPosition(position)) return merged
  return { ...merged, position }
}

/** The edge with the patch merged into it. An end that is not an id is not merged. */
export function patchedEdge(edge: GraphEdge, patch: JsonObject): GraphEdge {
  const merged = mergeFields(edge as unknown as JsonObject, patch, EDGE_FIELDS) as unknown as GraphEdge
  const [source, target] = [get(patch, 'source'), get(patch, 'target')]
  const ends = { source: isId(source) ? source : edge.source, target: isId(target) ? target : edge.target }
  if (ends.source === edge.source && ends.target === edge.target) return merged
  return { ...merged, ...ends }
}

/** A field as it stands in a node or edge. */
export function fieldOf(entity: GraphNode | GraphEdge, key: string): Json | undefined {
  return get(entity as unknown as JsonObject, key)
}

/** A copy with other values of some fields; `undefined` removes one. */
export function withFields<T extends GraphNode | GraphEdge>(entity: T, fields: { [key: string]: Json | undefined }): T {
  const copy = { ...entity } as unknown as JsonObject
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined) delete copy[key]
    else put(copy, key, value)
  }
  return copy as unknown as T
}

/** Whether the value is `{x, y}` with finite numbers and nothing else. */
export function isPosition(value: Json | undefined): value is { x: number; y: number } {
  return isObject(value) && Object.keys(value).length === 2 && isNumber(get(value, 'x')) && isNumber(get(value, 'y'))
}

function isNumber(value: Json | undefined): value is number {
  return typeof value === 'number' && Number.isFinite(value)
}

/** Bytes of an id, at most (rule G3). */
const ID_BYTES_MAX = 1024

/** Whether the value is a node or edge id (rule G3). */
export function isId(value: Json | undefined): value is string {
  if (typeof value !== 'string' || value === '' || value.length > ID_BYTES_MAX) return false
  for (let at = 0; at < value.length; at++) {
    const code = value.charCodeAt(at)
    if (code < 0x20 || (code >= 0x7f && code < 0xa0)) return false
  }
  return value.length * 3 <= ID_BYTES_MAX || new TextEncoder().encode(value).length <= ID_BYTES_MAX
}

/** Why the fields break rule G1 or G4 by themselves; `null` if they don't. For a patch, nulls remove. */
export function problemOf(kind: 'node' | 'edge', fields: JsonObject, isPatch: boolean): string | null {
  const [type, data] = [get(fields, 'type'), get(fields, 'data')]
  if (type !== undefined && type !== null && typeof type !== 'string') return 'type: must be a string'
  if (data !== undefined && data !== null && !isObject(data)) return 'data: must be an object'
  if (!isPatch && !isId(get(fields, 'id'))) return 'id: must be an id'
  return kind === 'node' ? problemOfNode(fields, isPatch) : problemOfEdge(fields, isPatch)
}

function problemOfNode(fields: JsonObject, isPatch: boolean): string | null {
  for (const field of PARENT_FIELDS) {
    const id = get(fields, field)
    if (id !== undefined && id !== null && !isId(id)) return `${field}: must be a node id`
  }
  const position = get(fields, 'position')
  if (position === undefined) return null
  const whole = isPatch ? merge({ x: 0, y: 0 }, position) : position
  return isPosition(whole) ? null : 'position: must be {x, y} with finite numbers'
}

function problemOfEdge(fields: JsonObject, isPatch: boolean): string | null {
  for (const field of ['source', 'target']) {
    const id = get(fields, field)
    if (!(isPatch && id === undefined) && !isId(id)) return `${field}: must be a node id`
  }
  return null
}
