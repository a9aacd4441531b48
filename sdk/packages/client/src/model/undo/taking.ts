/** An undo in the making: operations taken back on a copy of the graph, and what is told of it. */

import type { GraphEdge, GraphNode, Json, JsonObject, OnConflict, Position } from '../../api.ts'
import { checkParents, edgesOfAll, withDescendants } from '../ancestry.ts'
import { checkEdgeSize, checkEnds, checkNodeSize, tooMany } from '../checks.ts'
import type { Limits } from '../command.ts'
import { edgeFrom, hasSameParents, isId, isPosition, nodeFrom, parentsOf, problemOf, withFields } from '../entity.ts'
import type { Entity, GraphEvent } from '../event.ts'
import { get, isEqual } from '../json.ts'
import { between, keysOf } from '../patch.ts'
import type { Refused } from '../refused.ts'
import type { GraphState, Place } from '../state.ts'
import { type Change, keyOf } from './changes.ts'
import { isGone, parentsFirst, valueAt } from './order.ts'
import { changed, type PutBack, putBack } from './put_back.ts'

/** What one operation did. */
export interface Step {
  readonly version: number
  readonly changes: readonly Change[]
}

/** Something that is left alone, and why. */
export type Skipped = {
  readonly reason: string
  readonly entity: string
  readonly id: string
  readonly path: string
  readonly yours: Json
  readonly current: Json
}

/** What ties a node to another one: it stands or falls together. */
const PARENT_FIELDS = ['parentId', 'parentNode', 'extent']
const ENDS = ['source', 'target']

/** What is known beside the operations: see `Undoing`. */
export interface Knowledge {
  readonly others: (entity: Entity, since: number) => boolean
  readonly gone: (id: string) => GraphNode | undefined
  readonly onConflict: OnConflict
  readonly limits: Limits
}

export class Taking {
  /** The graph as the steps so far left it. */
  readonly graph: GraphState
  readonly touched: Map<string, Entity> = new Map()
  readonly reverted: Map<string, { entity: string; id: string; paths: string[] }> = new Map()
  readonly skipped: Skipped[] = []
  readonly detached: string[] = []
  readonly #steps: readonly Step[]
  readonly #others: Knowledge['others']
  readonly #gone: Knowledge['gone']
  readonly #onConflict: OnConflict
  readonly #limits: Limits

  constructor(head: GraphState, steps: readonly Step[], { others, gone, onConflict, limits }: Knowledge) {
    this.graph = head.fork()
    this.#steps = steps
    this.#others = others
    this.#gone = gone
    this.#onConflict = onConflict
    this.#limits = limits
  }

  /**
   * What was deleted comes back first, then what was changed is put back, and what was created goes last. What was exchanged
   * keeps what is inside of it and its edges: they go by its id.
   */
  takeBack(step: Step): void {
    const changes = [...step.changes].reverse()
    for (const change of changes) if (change.isExchange === true) this.#exchangeBack(step, change)
    const gone = changes.filter((change) => change.kind === 'node' && isGone(change))
    for (const change of parentsFirst(gone, nodeBefore)) this.#restoreNode(nodeBefore(change), change.place)
    const changed = changes.filter((change) => change.kind === 'node' && isChanged(change))
    for (const change of this.#inOrder(changed)) {
      this.#putBackNode(nodeBefore(change), change.after as JsonObject)
    }
    for (const change of changes) {
      if (change.kind !== 'edge') continue
      const before = change.before as unknown as GraphEdge
      if (isGone(change)) this.#restoreEdge(before, change.place)
      else if (isChanged(change)) this.#putBackEdge(before, change.after as JsonObject)
    }
    this.#deleteCreated(step)
    for (const change of changes) {
      if (change.kind === 'viewport') this.#putBackViewport(change)
      if (change.kind === 'graph') this.#putBackAttributes(change)
    }
  }

  /**
   * Each after what it goes back into, also through nodes that stay where they are, if any was put into another: on the way
   * back none is inside of itself.
   */
  #inOrder(changed: readonly Change[]): readonly Change[] {
    const areKept = changed.every((change) =>
      isEqual(parentsOf(nodeBefore(change)), parentsOf(change.after as unknown as GraphNode)),
    )
    return areKept ? changed : parentsFirst(changed, nodeBefore, this.graph)
  }

  /**
   * Rule U7. Gives what stands the place of what was exchanged for it, if nobody else worked on it since. Its fields are put
   * back like those of what was changed.
   */
  #exchangeBack(step: Step, { kind, id, place }: Change): void {
    const entity: Entity = { kind, id }
    const stands = kind === 'node' ? this.graph.nodes.get(id) : this.graph.edges.get(id)
    if (stands === undefined || place === undefined || stands.ordinal === place.ordinal) return
    if (this.#onConflict !== 'overwrite' && this.#others(entity, step.version)) return
    if (kind === 'node') {
      this.#apply(entity, { type: 'NodeDeleted', nodeId: id }, [''])
      this.#apply(entity, { type: 'NodeRestored', node: stands.entity as GraphNode, ...place }, [''])
    } else {
      this.#apply(entity, { type: 'EdgeDeleted', edgeId: id }, [''])
      this.#apply(entity, { type: 'EdgeRestored', edge: stands.entity as GraphEdge, ...place }, [''])
    }
  }

  /** Edges first, and nodes after what is in them. */
  #deleteCreated(step: Step): void {
    const changes = [...step.changes].reverse()
    const created = changes.filter((change) => change.before === undefined && change.after !== undefined)
    for (const { kind, id } of created) if (kind === 'edge') this.#deleteEdge(step, id)
    const nodes = created.flatMap(({ kind, id }) => (kind === 'node' ? (this.graph.nodes.get(id)?.entity ?? []) : []))
    for (const { id } of parentsFirst(nodes, (node) => node).reverse()) this.#deleteNode(step, id)
  }

  #apply(entity: Entity, event: GraphEvent, paths: readonly string[]): void {
    this.graph.apply(event, { version: 0, timestamp: 0, isPredicted: true })
    const key = keyOf(entity)
    this.touched.set(key, entity)
    const known = this.reverted.get(key) ?? { entity: entity.kind, id: entity.id, paths: [] }
    for (const path of paths) if (!known.paths.includes(path)) known.paths.push(path)
    this.reverted.set(key, known)
  }

  #skip(reason: string, { kind, id }: Entity, path: string, yours: Json, current: Json): void {
    this.skipped.push({ reason, entity: kind, id, path, yours, current })
  }

  /** Of what is gone only that is known which the operation changed. Where it left the fields as they were, nothing is. */
  #skipGone(entity: Entity, before: JsonObject, after: JsonObject): void {
    const yours = changed(before, after, entity.kind === 'node' ? 'position' : undefined)
    if (Object.keys(yours).length > 0) this.#skip('TARGET_DELETED', entity, '', yours, null)
  }

  #skipRefused(problem: Refused, entity: Entity, path: string, yours: Json): void {
    this.#skip(SKIP_REASONS[problem.code] ?? 'ENTITY_TOO_LARGE', entity, path, yours, null)
  }

  #restoreNode(old: GraphNode, place: Place | undefined): void {
    const entity: Entity = { kind: 'node', id: old.id }
    const stands = this.graph.nodes.get(old.id)?.entity
    if (stands !== undefined && isEqual(stands as Json, old as Json)) return
    if (stands !== undefined && this.#onConflict !== 'overwrite') {
      this.#skip('ID_TAKEN', entity, '', old as Json, stands as Json)
      return
    }
    if (stands === undefined && this.graph.nodes.size >= this.#limits.nodes) {
      this.#skip('TOO_MANY_ENTITIES', entity, '', old as Json, null)
      return
    }
    const tooLarge = checkNodeSize(old, this.#limits)
    if (tooLarge !== null) {
      this.#skipRefused(tooLarge, entity, '', null)
      return
    }
    const node = this.#attached(old)
    if (node !== old) this.detached.push(node.id)
    if (stands !== undefined) this.#apply(entity, { type: 'NodeReplaced', node }, [''])
    else if (place !== undefined) this.#apply(entity, { type: 'NodeRestored', node, ...place }, [''])
    else this.#apply(entity, { type: 'NodeCreated', node }, [''])
  }

  /** The node as it can come back: without its parent if that is not there (rule U7). */
  #attached(node: GraphNode): GraphNode {
    if (parentsOf(node).every(({ id }) => this.graph.nodes.has(id))) return node
    const position = this.#absolute(node)
    return { ...withFields(node, { parentId: undefined, parentNode: undefined, extent: undefined }), position }
  }

  /** Where a node stood, its parents' positions added up as far as they are known. */
  #absolute(node: GraphNode): Position {
    let { x, y } = node.position
    const seen = new Set<string>()
    let parent = parentsOf(node)[0]?.id
    while (parent !== undefined && !seen.has(parent)) {
      seen.add(parent)
      const above: GraphNode | undefined = this.graph.nodes.get(parent)?.entity ?? this.#known(parent)
      if (above === undefined) break
      x += above.position.x
      y += above.position.y
      parent = parentsOf(above)[0]?.id
    }
    return { x, y }
  }

  /** A node that the operations deleted, as it was last. */
  #known(id: string): GraphNode | undefined {
    for (const { changes } of this.#steps) {
      const found = changes.find((change) => change.kind === 'node' && change.id === id && change.after === undefined)
      if (found?.before !== undefined) return nodeBefore(found)
    }
    return this.#gone(id)
  }

  #restoreEdge(edge: GraphEdge, place: Place | undefined): void {
    const entity: Entity = { kind: 'edge', id: edge.id }
    const stands = this.graph.edges.get(edge.id)?.entity
    if (stands !== undefined && isEqual(stands as Json, edge as Json)) return
    if (stands !== undefined && this.#onConflict !== 'overwrite') {
      this.#skip('ID_TAKEN', entity, '', edge as Json, stands as Json)
      return
    }
    if (stands === undefined && this.graph.edges.size >= this.#limits.edges) {
      this.#skip('TOO_MANY_ENTITIES', entity, '', edge as Json, null)
      return
    }
    const problem = checkEdgeSize(edge, this.#limits) ?? checkEnds(this.graph, edge)
    if (problem !== null) {
      this.#skipRefused(problem, entity, '', edge as Json)
      return
    }
    if (stands !== undefined) this.#apply(entity, { type: 'EdgeReplaced', edge }, [''])
    else if (place !== undefined) this.#apply(entity, { type: 'EdgeRestored', edge, ...place }, [''])
    else this.#apply(entity, { type: 'EdgeCreated', edge }, [''])
  }

  #deleteEdge(step: Step, id: string): void {
    const edge = this.graph.edges.get(id)?.entity
    if (edge === undefined) return
    const entity: Entity = { kind: 'edge', id }
    if (this.#onConflict !== 'overwrite' && this.#others(entity, step.version)) {
      this.#skip('IN_USE', entity, '', null, edge as Json)
      return
    }
    this.#apply(entity, { type: 'EdgeDeleted', edgeId: id }, [''])
  }

  /** Rule U6. With a node goes what is inside of it, and the edges of all that. */
  #deleteNode(step: Step, id: string): void {
    const node = this.graph.nodes.get(id)
    if (node === undefined) return
    const going = withDescendants(this.graph, id)
    const edges = edgesOfAll(this.graph, going)
    const isUsed = (entity: Entity, ordinal: number | undefined): boolean =>
      (ordinal ?? 0) < node.ordinal || this.#others(entity, step.version)
    const used =
      going.some((one) => isUsed({ kind: 'node', id: one.id }, this.graph.nodes.get(one.id)?.ordinal)) ||
      edges.some((edge) => isUsed({ kind: 'edge', id: edge }, this.graph.edges.get(edge)?.ordinal))
    if (used && this.#onConflict !== 'overwrite') {
      this.#skip('IN_USE', { kind: 'node', id }, '', null, node.entity as Json)
      return
    }
    for (const edgeId of edges) this.#apply({ kind: 'edge', id: edgeId }, { type: 'EdgeDeleted', edgeId }, [''])
    for (const { id: nodeId } of going.reverse()) {
      this.#apply({ kind: 'node', id: nodeId }, { type: 'NodeDeleted', nodeId }, [''])
    }
  }

  #putBackNode(before: GraphNode, after: JsonObject): void {
    const entity: Entity = { kind: 'node', id: before.id }
    const stands = this.graph.nodes.get(before.id)?.entity
    if (stands === undefined) {
      this.#skipGone(entity, before as unknown as JsonObject, after)
      return
    }
    const merged = this.#merge(
      before as unknown as JsonObject,
      after,
      stands as unknown as JsonObject,
      isWithinPosition,
    )
    const check = (fields: JsonObject): Refused | null => {
      const node = readNode(fields)
      if (node === null) return tooMany('bytes', this.#limits.entityBytes)
      return checkNodeSize(node, this.#limits) ?? (hasSameParents(node, stands) ? null : checkParents(this.graph, node))
    }
    const fields = this.#fitting(entity, stands as unknown as JsonObject, merged, PARENT_FIELDS, check)
    if (fields === null) return
    this.#skipTakenOver(entity, stands as unknown as JsonObject, merged)
    if (isEqual(fields, stands as Json)) return
    this.#apply(entity, { type: 'NodeReplaced', node: nodeFrom(fields) }, merged.reverted)
  }

  #putBackEdge(before: GraphEdge, after: JsonObject): void {
    const entity: Entity = { kind: 'edge', id: before.id }
    const stands = this.graph.edges.get(before.id)?.entity
    if (stands === undefined) {
      this.#skipGone(entity, before as unknown as JsonObject, after)
      return
    }
    const merged = this.#merge(before as unknown as JsonObject, after, stands as unknown as JsonObject, () => false)
    const check = (fields: JsonObject): Refused | null => {
      if (!ENDS.every((end) => isId(get(fields, end)))) return tooMany('bytes', this.#limits.entityBytes)
      const edge = edgeFrom(fields)
      return checkEdgeSize(edge, this.#limits) ?? checkEnds(this.graph, edge)
    }
    const fields = this.#fitting(entity, stands as unknown as JsonObject, merged, ENDS, check)
    if (fields === null) return
    this.#skipTakenOver(entity, stands as unknown as JsonObject, merged)
    if (isEqual(fields, stands as Json)) return
    this.#apply(entity, { type: 'EdgeReplaced', edge: edgeFrom(fields) }, merged.reverted)
  }

  /** The fields that may stand; those in `tied` stay as they are if they can't be put back. `null`: nothing is. */
  #fitting(
    entity: Entity,
    stands: JsonObject,
    merged: PutBack,
    tied: readonly string[],
    check: (fields: JsonObject) => Refused | null,
  ): JsonObject | null {
    const problem = check(merged.now)
    if (problem === null) return merged.now
    const kept: { [key: string]: Json | undefined } = {}
    for (const key of tied) kept[key] = get(stands, key)
    const fields = withFields(merged.now as unknown as GraphNode, kept) as unknown as JsonObject
    const isLeft = (path: string): boolean => tied.includes(keysOf(path)[0] as string)
    const first = merged.reverted.find(isLeft)
    const others = merged.reverted.filter((path) => !isLeft(path))
    merged.reverted.splice(0, merged.reverted.length, ...others)
    if (first !== undefined) this.#skipRefused(problem, entity, first, null)
    const ofRest = check(fields)
    if (ofRest === null) return fields
    this.#skipRefused(ofRest, entity, '', null)
    return null
  }

  #putBackViewport({ before, after }: Change): void {
    const stands = this.graph.viewport
    const entity: Entity = { kind: 'viewport', id: 'viewport' }
    if (before === undefined || isEqual(stands, before) || isEqual(before, after)) return
    if (!isEqual(stands, after) && this.#onConflict !== 'overwrite') {
      this.#skip('TAKEN_OVER', entity, '', before, stands)
      return
    }
    this.#apply(entity, { type: 'ViewportSet', viewport: before as typeof stands }, [''])
  }

  #putBackAttributes({ before, after }: Change): void {
    if (before === undefined || after === undefined) return
    const stands = this.graph.attributes
    const entity: Entity = { kind: 'graph', id: 'graph' }
    const merged = this.#merge(before, after, stands, () => false)
    this.#skipTakenOver(entity, stands, merged)
    const patch = isEqual(merged.now, stands) ? null : between(stands, merged.now)
    if (patch !== null) this.#apply(entity, { type: 'GraphUpdated', patch }, merged.reverted)
  }

  #merge(before: JsonObject, after: JsonObject, now: JsonObject, isWhole: (path: string) => boolean): PutBack {
    return putBack(before, after, now, this.#onConflict, isWhole)
  }

  #skipTakenOver(entity: Entity, stands: JsonObject, { takenOver }: PutBack): void {
    for (const { path, yours } of takenOver)
      this.#skip('TAKEN_OVER', entity, path, yours, valueAt(stands, keysOf(path)))
  }
}

/** Why something is skipped, by the code of the refusal of a command that would do it. */
const SKIP_REASONS: { readonly [code: string]: string } = {
  DANGLING_EDGE: 'DANGLING_EDGE',
  PARENT_NOT_FOUND: 'PARENT_NOT_FOUND',
  PARENT_CYCLE: 'PARENT_CYCLE',
}

function nodeBefore(change: Change): GraphNode {
  return change.before as unknown as GraphNode
}

function isChanged(change: Change): boolean {
  return change.before !== undefined && change.after !== undefined
}

function isWithinPosition(path: string): boolean {
  return path === '/position' || path.startsWith('/position/')
}

/** The node that these fields are; `null` if they are none. */
function readNode(fields: JsonObject): GraphNode | null {
  return isPosition(get(fields, 'position')) && problemOf('node', fields, false) === null ? nodeFrom(fields) : null
}
