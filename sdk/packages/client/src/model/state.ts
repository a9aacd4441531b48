/**
 * The graph that a client shows and decides on: the fold of its commits (rules G and L).
 *
 * A state is changed in place by {@link GraphState.apply}; {@link GraphState.fork} gives an independent copy for a few
 * pointers. Entities are never changed: a commit that touches k entities makes k new objects.
 *
 * Not here: judging (decide.ts), the lists in order (order.ts), reading what a server sends (snapshot.ts).
 */

import type { GraphEdge, GraphNode, JsonObject } from '../api.ts'
import { withDescendants } from './ancestry.ts'
import { edgeFrom, nodeFrom, parentsOf, patchedEdge, patchedNode } from './entity.ts'
import type { At, GraphEvent, Viewport } from './event.ts'
import { isEqual } from './json.ts'
import { mergeFields } from './patch.ts'
import { byOrdinal, type Placed, Table } from './table.ts'
import { IdMap } from './trie.ts'

const NO_SLOTS: readonly number[] = []
const NOBODY: ReadonlySet<string> = new Set()

/** A place in creation order that something had before it was deleted. */
export interface Place {
  readonly ordinal: number
  readonly createdAt: number
}

type Where = Omit<Placed<unknown>, 'slot' | 'entity'>

/** Nodes with what they are in, or edges with what they are at. */
interface Kind<E> {
  readonly table: Table<E>
  /** Slots by the id of what is above: a parent, an end. */
  readonly index: IdMap<readonly number[]>
  readonly above: (entity: E) => string[]
}

export class GraphState {
  readonly nodes: Table<GraphNode>
  readonly edges: Table<GraphEdge>
  viewport: Viewport = { x: 0, y: 0, zoom: 1 }
  viewportVersion = 0
  attributes: JsonObject = {}
  attributesVersion = 0
  /** What is known of the trash: present while the graph is in it. */
  trashed: JsonObject | null = null
  nextOrdinal = 0
  /**
   * Whether places in creation order are the server's. A `SYNC` state has no places, so after one they are told by time
   * of creation, and within one commit by the order of the list.
   */
  hasServerPlaces = true
  /**
   * Whether something was restored to a place that could not be told (rule U7): the order of a list may differ from the
   * server's until the next state.
   */
  isOrderUncertain = false
  /**
   * Nodes of which a list does not tell the place: one that came after its parent may be older than what was created in
   * the same millisecond.
   */
  guessed: ReadonlySet<string> = NOBODY
  /**
   * Places of what was deleted, by id and time of creation, while {@link hasServerPlaces} is false. Not a number if two
   * of one id were created in the same millisecond; of two that the state did not have both, only one is known.
   */
  readonly #graves: IdMap<number>
  readonly #node: Kind<GraphNode>
  readonly #edge: Kind<GraphEdge>

  constructor(of?: GraphState) {
    this.nodes = new Table(of?.nodes)
    this.edges = new Table(of?.edges)
    this.#graves = of ? of.#graves.fork() : new IdMap()
    this.#node = { table: this.nodes, index: of ? of.#node.index.fork() : new IdMap(), above: parentIds }
    this.#edge = { table: this.edges, index: of ? of.#edge.index.fork() : new IdMap(), above: endIds }
    if (of === undefined) return
    this.viewport = of.viewport
    this.viewportVersion = of.viewportVersion
    this.attributes = of.attributes
    this.attributesVersion = of.attributesVersion
    this.trashed = of.trashed
    this.nextOrdinal = of.nextOrdinal
    this.hasServerPlaces = of.hasServerPlaces
    this.isOrderUncertain = of.isOrderUncertain
    this.guessed = of.guessed
  }

  /** An independent copy. */
  fork(): GraphState {
    return new GraphState(this)
  }

  /** The edges that begin or end at a node, in creation order; a self-loop once. */
  edgesOf(id: string): Placed<GraphEdge>[] {
    return rowsOf(this.#edge, id)
  }

  /** The nodes directly inside a node, in creation order. */
  childrenOf(id: string): Placed<GraphNode>[] {
    return rowsOf(this.#node, id)
  }

  /** Applies one event. It never fails: history already happened. Types that are not known change nothing (rule L15). */
  apply(event: GraphEvent, at: At): void {
    switch (event.type) {
      case 'NodeCreated':
      case 'NodeReplaced':
        this.#put(this.#node, nodeFrom(event.node as JsonObject), at)
        break
      case 'NodeUpdated': {
        const old = this.nodes.get(event.nodeId)
        if (old !== undefined) this.#rewrite(this.#node, old, patchedNode(old.entity, event.patch), at)
        break
      }
      case 'NodeMoved': {
        const old = this.nodes.get(event.nodeId)
        if (old === undefined) break
        this.nodes.replace(old, { ...old.entity, position: event.position }, at.version, at.timestamp)
        break
      }
      case 'NodeDeleted':
        this.#remove(this.#node, event.nodeId)
        break
      case 'NodeRestored':
        this.#put(this.#node, nodeFrom(event.node as JsonObject), at, event)
        break
      case 'EdgeCreated':
      case 'EdgeReplaced':
        this.#put(this.#edge, edgeFrom(event.edge as JsonObject), at)
        break
      case 'EdgeUpdated': {
        const old = this.edges.get(event.edgeId)
        if (old !== undefined) this.#rewrite(this.#edge, old, patchedEdge(old.entity, event.patch), at)
        break
      }
      case 'EdgeDeleted':
        this.#remove(this.#edge, event.edgeId)
        break
      case 'EdgeRestored':
        this.#put(this.#edge, edgeFrom(event.edge as JsonObject), at, event)
        break
      case 'ViewportSet':
        this.viewport = event.viewport
        this.viewportVersion = at.version
        break
      default:
        this.#applyToGraph(event, at)
    }
  }

  /** The attributes, and the trash. */
  #applyToGraph(event: GraphEvent, at: At): void {
    switch (event.type) {
      case 'GraphCreated':
        this.attributes = event.attributes
        this.attributesVersion = at.version
        break
      case 'GraphUpdated':
        this.attributes = mergeFields(this.attributes, event.patch, [])
        this.attributesVersion = at.version
        break
      case 'GraphTrashed': {
        const { type: _, ...about } = event
        this.trashed = { ...about, at: at.timestamp }
        break
      }
      case 'GraphRecovered':
      case 'GraphForked':
        this.trashed = null
        break
      default:
    }
  }

  /** Adds a node that is not there, in a given place. Used to restore a state; commits go through {@link apply}. */
  placeNode(node: GraphNode, placed: Where): void {
    link(this.#node, this.nodes.add(node.id, { entity: node, ...placed }))
  }

  /** The same for an edge. */
  placeEdge(edge: GraphEdge, placed: Where): void {
    link(this.#edge, this.edges.add(edge.id, { entity: edge, ...placed }))
  }

  /** Writes all of it. If it is not there, it gets the next place, or that of `told`. */
  #put<E extends GraphNode | GraphEdge>(kind: Kind<E>, entity: E, at: At, told?: Place): void {
    const { table } = kind
    const old = table.get(entity.id)
    if (old !== undefined) {
      this.#rewrite(kind, old, entity, at)
      return
    }
    const { version, timestamp } = at
    const place = told ? this.#retake(entity.id, told, table, at) : { ordinal: this.nextOrdinal, createdAt: timestamp }
    this.nextOrdinal = Math.max(this.nextOrdinal, Math.floor(place.ordinal) + 1)
    link(kind, table.add(entity.id, { entity, ...place, updatedAt: timestamp, version }))
  }

  #rewrite<E extends GraphNode | GraphEdge>(kind: Kind<E>, old: Placed<E>, entity: E, at: At): void {
    const { table, above } = kind
    const placed = table.replace(old, entity, at.version, at.timestamp)
    if (isEqual(above(old.entity), above(entity))) return
    unlink(kind, old)
    link(kind, placed)
    if (table === (this.edges as unknown)) return
    this.nodes.shape = {}
    if (this.guessed.size > 0)
      this.isOrderUncertain ||= withDescendants(this, entity.id).some(({ id }) => this.guessed.has(id))
  }

  #remove<E extends GraphNode | GraphEdge>(kind: Kind<E>, id: string): void {
    const old = kind.table.remove(id)
    if (old === undefined) return
    unlink(kind, old)
    this.#bury(id, old)
  }

  #bury(id: string, { ordinal, createdAt }: Place): void {
    if (this.hasServerPlaces) return
    const key = graveOf(id, createdAt)
    this.#graves.set(key, (this.#graves.get(key) ?? ordinal) === ordinal ? ordinal : Number.NaN)
  }

  /** The place of something that comes back. */
  #retake<E>(id: string, told: Place, table: Table<E>, { isPredicted }: At): Place {
    const { ordinal, createdAt } = told
    if (this.hasServerPlaces || isPredicted) return { ordinal, createdAt }
    const grave = this.#graves.get(graveOf(id, createdAt)) ?? Number.NaN
    if (!Number.isNaN(grave)) return { ordinal: grave, createdAt }
    let [before, after] = [-1, Number.POSITIVE_INFINITY]
    const pass = (place: Place): void => {
      this.isOrderUncertain ||= place.createdAt === createdAt
      if (Number.isNaN(place.ordinal)) return
      if (place.createdAt <= createdAt) before = Math.max(before, place.ordinal)
      else after = Math.min(after, place.ordinal)
    }
    table.rows.each(pass)
    // What was deleted may come back, too.
    this.#graves.each((ordinal, key) => pass({ ordinal, createdAt: Number.parseInt(key, 10) }))
    return { ordinal: after === Number.POSITIVE_INFINITY ? this.nextOrdinal : (before + after) / 2, createdAt }
  }
}

function graveOf(id: string, createdAt: number): string {
  return `${createdAt} ${id}`
}

/** The state after these events of one commit; the given state stays as it is. */
export function fold(state: GraphState, events: readonly GraphEvent[], at: At): GraphState {
  const then = state.fork()
  for (const event of events) then.apply(event, at)
  return then
}

function rowsOf<E>({ index, table }: Kind<E>, id: string): Placed<E>[] {
  const rows: Placed<E>[] = []
  for (const slot of index.get(id) ?? NO_SLOTS) {
    const row = table.at(slot)
    if (row !== undefined) rows.push(row)
  }
  return rows.sort(byOrdinal)
}

function link<E>({ index, above }: Kind<E>, { entity, slot }: Placed<E>): void {
  for (const id of above(entity)) {
    const slots = index.get(id) ?? NO_SLOTS
    if (!slots.includes(slot)) index.set(id, slots.concat(slot))
  }
}

function unlink<E>({ index, above }: Kind<E>, { entity, slot }: Placed<E>): void {
  for (const id of above(entity)) {
    const slots = (index.get(id) ?? NO_SLOTS).filter((other) => other !== slot)
    index.set(id, slots.length > 0 ? slots : undefined)
  }
}

function parentIds(node: GraphNode): string[] {
  return parentsOf(node).map(({ id }) => id)
}

function endIds({ source, target }: GraphEdge): string[] {
  return [source, target]
}
