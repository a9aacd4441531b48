/** A whole state as the server sends it (`SYNC`, `GET …/state`), and as a device keeps it. */

import type { GraphEdge, GraphNode, Json, JsonObject } from '../api.ts'
import { edgeFrom, nodeFrom, parentsOf } from './entity.ts'
import type { Viewport } from './event.ts'
import { isEqual, share } from './json.ts'
import { nodesInOrder } from './order.ts'
import { GraphState, type Place } from './state.ts'
import type { Placed, Table } from './table.ts'

/** What `GET …/state` and the `state` of a `SYNC` have, as far as a graph is concerned. */
export interface StateJson {
  readonly nodes: readonly JsonObject[]
  readonly edges: readonly JsonObject[]
  readonly viewport: Viewport
  readonly attributes?: JsonObject
  readonly version?: number
  /** Only in what this client kept itself: places in creation order, in the order of the lists. */
  readonly places?: PlacesJson
}

/** What {@link toState} adds so that nothing is lost when a state is kept on a device. */
export interface PlacesJson {
  readonly nodes: readonly number[]
  readonly edges: readonly number[]
  readonly next: number
  readonly areServers: boolean
  readonly guessed: readonly string[]
  /** Whether the order may differ from the server's. Missing: no. */
  readonly isUncertain?: boolean
  readonly viewportVersion: number
  readonly attributesVersion: number
  readonly trashed: JsonObject | null
}

/**
 * Reads a state. Entities that are equal in `previous` are the same objects (rule A9).
 *
 * The server sends no places in creation order. Times of creation tell them, since they never decrease (rule V5); what
 * came in one commit is in the order of the list.
 */
export function fromState(json: StateJson, previous?: GraphState): GraphState {
  const state = new GraphState()
  const { places } = json
  // In a graph before its first commit, all places are still to be given.
  state.isOrderUncertain = places?.isUncertain === true
  state.hasServerPlaces = places?.areServers ?? json.version === 0
  state.viewport = previous && isEqual(json.viewport, previous.viewport) ? previous.viewport : json.viewport
  state.attributes = share(previous?.attributes, json.attributes ?? {})
  state.viewportVersion = places?.viewportVersion ?? 0
  state.attributesVersion = places?.attributesVersion ?? 0
  state.trashed = places?.trashed ?? null
  const nodes = json.nodes.map((fields) => metaOf(fields))
  const edges = json.edges.map((fields) => metaOf(fields))
  const ordinals = places ?? guessPlaces(nodes, edges)
  json.nodes.forEach((fields, at) => {
    const node = nodeFrom(fields)
    const entity = kept(previous?.nodes, node)
    state.placeNode(entity, { ...(nodes[at] as Meta), ordinal: ordinals.nodes[at] as number })
  })
  json.edges.forEach((fields, at) => {
    const edge = edgeFrom(fields)
    const entity = kept(previous?.edges, edge)
    state.placeEdge(entity, { ...(edges[at] as Meta), ordinal: ordinals.edges[at] as number })
  })
  state.nextOrdinal = ordinals.next
  state.guessed = places === undefined ? guessedIn(state) : new Set(places.guessed)
  return state
}

/** Nodes that may stand later in a list than they were created: they wait for a parent that is not older. */
function guessedIn(state: GraphState): Set<string> {
  const guessed = new Set<string>()
  const times = new Map<number, number>()
  const rows = nodesInOrder(state)
  for (const { createdAt } of rows) times.set(createdAt, (times.get(createdAt) ?? 0) + 1)
  const waiting = new Set<string>()
  for (const { entity, createdAt } of rows) {
    const parents = parentsOf(entity).map(({ id }) => state.nodes.get(id))
    if (!parents.some((parent) => parent && (parent.createdAt >= createdAt || waiting.has(parent.entity.id)))) continue
    waiting.add(entity.id)
    if ((times.get(createdAt) ?? 0) > 1) guessed.add(entity.id)
  }
  return guessed
}

type Meta = Omit<Place, 'ordinal'> & { updatedAt: number; version: number }

function metaOf(fields: JsonObject): Meta {
  const number = (value: Json | undefined): number => (typeof value === 'number' ? value : 0)
  return {
    createdAt: number(fields.createdAt),
    updatedAt: number(fields.updatedAt),
    version: number(fields.version),
  }
}

function kept<E extends GraphNode | GraphEdge>(table: Table<E> | undefined, entity: E): E {
  const old = table?.get(entity.id)?.entity
  return old === undefined ? entity : (share(old as unknown as Json, entity as unknown as Json) as unknown as E)
}

/** Numbers nodes and edges by time of creation: sorting keeps the order of the lists where times are equal. */
function guessPlaces(nodes: readonly Meta[], edges: readonly Meta[]): Pick<PlacesJson, 'nodes' | 'edges' | 'next'> {
  const all = [...nodes, ...edges].map((meta, at) => ({ createdAt: meta.createdAt, at }))
  all.sort((a, b) => a.createdAt - b.createdAt)
  const ordinals = new Array<number>(all.length)
  all.forEach(({ at }, ordinal) => {
    ordinals[at] = ordinal
  })
  return { nodes: ordinals.slice(0, nodes.length), edges: ordinals.slice(nodes.length), next: all.length }
}

/**
 * The state as `GET …/state` has it, with the fields of rule G2, and with the places that {@link fromState} reads back.
 * Keys are in no certain order.
 */
export function toState(
  state: GraphState,
): StateJson & { readonly attributes: JsonObject; readonly places: PlacesJson } {
  const [nodes, edges] = [nodesInOrder(state), state.edges.inOrder()]
  return {
    attributes: state.attributes,
    nodes: nodes.map(withMeta),
    edges: edges.map(withMeta),
    viewport: state.viewport,
    places: {
      nodes: nodes.map((row) => row.ordinal),
      edges: edges.map((row) => row.ordinal),
      next: state.nextOrdinal,
      areServers: state.hasServerPlaces,
      guessed: [...state.guessed],
      isUncertain: state.isOrderUncertain,
      viewportVersion: state.viewportVersion,
      attributesVersion: state.attributesVersion,
      trashed: state.trashed,
    },
  }
}

function withMeta({ entity, createdAt, updatedAt, version }: Placed<GraphNode> | Placed<GraphEdge>): JsonObject {
  return { ...(entity as unknown as JsonObject), createdAt, updatedAt, version }
}
