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
import { edgeFrom, hasSameParents, nodeFrom, parentsOf, patchedEdge, patchedNode } from './entity.ts'
import type { At, GraphEvent, Viewport } from './event.ts'
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
  /** Places of what was deleted, while {@link hasServerPlaces} is false. */
  readonly #graves: IdMap<Place>
  /** Slots of edges by each end, and of nodes by parent. */
  readonly #incident: IdMap<readonly number[]>
  readonly #children: IdMap<readonly number[]>

  constructor(of?: GraphState) {
    this.nodes = new Table(of?.nodes)
    this.edges = new Table(of?.edges)
    this.#graves = of ? of.#graves.fork() : new IdMap()
    this.#incident = of ? of.#incident.fork() : new IdMap()
    this.#children = of ? of.#children.fork() : new IdMap()
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
    return rowsOf(this.#incident.get(id), this.edges)
  }

  /** The nodes directly inside a node, in creation order. */
  childrenOf(id: string): Placed<GraphNode>[] {
    return rowsOf(this.#children.get(id), this.nodes)
  }

  /** Applies one event. It never fails: history already happened. Types that are not known change nothing (rule L15). */
  apply(event: GraphEvent, at: At): void {
    switch (event.type) {
      case 'NodeCreated':
      case 'NodeReplaced':
        this.#putNode(nodeFrom(event.node as JsonObject), at)
        break
      case 'NodeUpdated': {
        const old = this.nodes.get(event.nodeId)
        if (old !== undefined) this.#rewriteNode(old, patchedNode(old.entity, event.patch), at)
        break
      }
      case 'NodeMoved': {
        const old = this.nodes.get(event.nodeId)
        if (old === undefined) break
        this.nodes.replace(old, { ...old.entity, position: event.position }, at.version, at.timestamp)
        break
      }
      case 'NodeDeleted':
        this.#removeNode(event.nodeId)
        break
      case 'NodeRestored': {
        const node = nodeFrom(event.node as JsonObject)
        if (this.nodes.has(node.id)) this.#putNode(node, at)
        else this.#addNode(node, this.#retake(node.id, event, this.nodes, at), at)
        break
      }
      case 'EdgeCreated':
      case 'EdgeReplaced':
        this.#putEdge(edgeFrom(event.edge as JsonObject), at)
        break
      case 'EdgeUpdated': {
        const old = this.edges.get(event.edgeId)
        if (old !== undefined) this.#rewriteEdge(old, patchedEdge(old.entity, event.patch), at)
        break
      }
      case 'EdgeDeleted':
        this.#removeEdge(event.edgeId)
        break
      case 'EdgeRestored': {
        const edge = edgeFrom(event.edge as JsonObject)
        if (this.edges.has(edge.id)) this.#putEdge(edge, at)
        else this.#addEdge(edge, this.#retake(edge.id, event, this.edges, at), at)
        break
      }
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
  placeNode(node: GraphNode, placed: Omit<Placed<GraphNode>, 'slot' | 'entity'>): void {
    this.#linkNode(this.nodes.add(node.id, { entity: node, ...placed }))
  }

  /** The same for an edge. */
  placeEdge(edge: GraphEdge, placed: Omit<Placed<GraphEdge>, 'slot' | 'entity'>): void {
    this.#linkEdge(this.edges.add(edge.id, { entity: edge, ...placed }))
  }

  #putNode(node: GraphNode, at: At): void {
    const old = this.nodes.get(node.id)
    if (old === undefined) this.#addNode(node, { ordinal: this.nextOrdinal, createdAt: at.timestamp }, at)
    else this.#rewriteNode(old, node, at)
  }

  #addNode(node: GraphNode, place: Place, at: At): void {
    this.nextOrdinal = Math.max(this.nextOrdinal, Math.floor(place.ordinal) + 1)
    this.placeNode(node, { ...place, updatedAt: at.timestamp, version: at.version })
  }

  #rewriteNode(old: Placed<GraphNode>, node: GraphNode, at: At): void {
    const placed = this.nodes.replace(old, node, at.version, at.timestamp)
    if (hasSameParents(old.entity, node)) return
    this.#unlinkNode(old)
    this.#linkNode(placed)
    this.nodes.shape = {}
    if (this.guessed.size > 0)
      this.isOrderUncertain ||= withDescendants(this, node.id).some(({ id }) => this.guessed.has(id))
  }

  #removeNode(id: string): void {
    const old = this.nodes.remove(id)
    if (old === undefined) return
    this.#unlinkNode(old)
    this.#bury(id, old)
  }

  #putEdge(edge: GraphEdge, at: At): void {
    const old = this.edges.get(edge.id)
    if (old === undefined) this.#addEdge(edge, { ordinal: this.nextOrdinal, createdAt: at.timestamp }, at)
    else this.#rewriteEdge(old, edge, at)
  }

  #addEdge(edge: GraphEdge, place: Place, at: At): void {
    this.nextOrdinal = Math.max(this.nextOrdinal, Math.floor(place.ordinal) + 1)
    this.placeEdge(edge, { ...place, updatedAt: at.timestamp, version: at.version })
  }

  #rewriteEdge(old: Placed<GraphEdge>, edge: GraphEdge, at: At): void {
    const placed = this.edges.replace(old, edge, at.version, at.timestamp)
    if (old.entity.source === edge.source && old.entity.target === edge.target) return
    this.#unlinkEdge(old)
    this.#linkEdge(placed)
  }

  #removeEdge(id: string): void {
    const old = this.edges.remove(id)
    if (old === undefined) return
    this.#unlinkEdge(old)
    this.#bury(id, old)
  }

  #linkNode({ entity, slot }: Placed<GraphNode>): void {
    for (const parent of parentsOf(entity)) add(this.#children, parent.id, slot)
  }

  #unlinkNode({ entity, slot }: Placed<GraphNode>): void {
    for (const parent of parentsOf(entity)) drop(this.#children, parent.id, slot)
  }

  #linkEdge({ entity, slot }: Placed<GraphEdge>): void {
    add(this.#incident, entity.source, slot)
    if (entity.target !== entity.source) add(this.#incident, entity.target, slot)
  }

  #unlinkEdge({ entity, slot }: Placed<GraphEdge>): void {
    drop(this.#incident, entity.source, slot)
    if (entity.target !== entity.source) drop(this.#incident, entity.target, slot)
  }

  #bury(id: string, { ordinal, createdAt }: Place): void {
    if (!this.hasServerPlaces) this.#graves.set(id, { ordinal, createdAt })
  }

  /** The place of something that comes back. */
  #retake(id: string, told: Place, table: Table<GraphNode> | Table<GraphEdge>, { isPredicted }: At): Place {
    const { ordinal, createdAt } = told
    if (this.hasServerPlaces || isPredicted) return { ordinal, createdAt }
    const grave = this.#graves.get(id)
    if (grave?.createdAt === createdAt) return grave
    let [before, after] = [-1, Number.POSITIVE_INFINITY]
    table.rows.each((row) => {
      if (row.createdAt <= createdAt) before = Math.max(before, row.ordinal)
      else after = Math.min(after, row.ordinal)
      this.isOrderUncertain ||= row.createdAt === createdAt
    })
    return { ordinal: after === Number.POSITIVE_INFINITY ? this.nextOrdinal : (before + after) / 2, createdAt }
  }
}

/** The state after these events of one commit; the given state stays as it is. */
export function fold(state: GraphState, events: readonly GraphEvent[], at: At): GraphState {
  const then = state.fork()
  for (const event of events) then.apply(event, at)
  return then
}

function rowsOf<E>(slots: readonly number[] | undefined, table: Table<E>): Placed<E>[] {
  if (slots === undefined) return []
  const rows: Placed<E>[] = []
  for (const slot of slots) {
    const row = table.at(slot)
    if (row !== undefined) rows.push(row)
  }
  return rows.sort(byOrdinal)
}

function add(index: IdMap<readonly number[]>, id: string, slot: number): void {
  const slots = index.get(id)
  if (slots === undefined) index.set(id, [slot])
  else if (!slots.includes(slot)) index.set(id, slots.concat(slot))
}

function drop(index: IdMap<readonly number[]>, id: string, slot: number): void {
  const slots = (index.get(id) ?? NO_SLOTS).filter((other) => other !== slot)
  index.set(id, slots.length > 0 ? slots : undefined)
}
