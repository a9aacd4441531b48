/** The lists that React Flow is given: the graph with all layers on top. Nothing in here sends. */
import type { Graph, GraphEdge, GraphNode } from '@dao-api/client'
import type { Edge, Node } from '@xyflow/react'
import type { Edit, Layer } from './edits.ts'
import type { Held } from './held.ts'
import { addLeaf, equal, type Fields, type Leaf, read } from './leaves.ts'
import { parentsFirst } from './order.ts'
import { goneWith } from './plan.ts'
import type { Previews } from './presence.ts'
import { type Screen, ViewCache } from './view.ts'

/** The same object while nothing changed. */
export interface FlowSnapshot<N extends Node = Node, E extends Edge = Edge> {
  readonly nodes: N[]
  readonly edges: E[]
  /** `false` until the first state came. */
  readonly ready: boolean
  /** The access to the graph is `read`: changes are not written. */
  readonly readOnly: boolean
}

export interface Layers {
  readonly task: Layer
  readonly held: Held
  readonly previews: Previews
}

const leavesOf = (edit: Edit | undefined): readonly Leaf[] | undefined =>
  edit?.kind === 'write' ? edit.leaves : undefined

/** Views and notes of the nodes, or of the edges. */
export class Side {
  readonly views: ViewCache
  readonly #screens = new Map<string, Screen>()
  readonly #fits = new Map<string, { leaves: readonly Leaf[]; over: readonly unknown[] }>()

  constructor(flow: unknown) {
    this.views = new ViewCache(flow)
  }

  screen(id: string, change: Screen): void {
    const before: Screen = this.#screens.get(id) ?? {}
    const news = Object.entries(change).some(([key, value]) => {
      const old = before[key as keyof Screen]
      return !equal(old, value) && !(old === undefined && value === false)
    })
    if (news) this.#screens.set(id, { ...before, ...change })
  }

  fields(id: string, leaves: readonly Leaf[]): void {
    if (leaves.length > 0) this.screen(id, { fields: leaves.reduce(addLeaf, this.#screens.get(id)?.fields ?? []) })
  }

  /** Leaves that stand on this screen until what is stored under them changes. */
  fit(id: string, leaves: readonly Leaf[], entity: Fields): void {
    const all = leaves.reduce(addLeaf, this.#fits.get(id)?.leaves ?? [])
    this.#fits.set(id, { leaves: all, over: all.map((leaf) => read(entity, leaf.path)) })
    this.screen(id, { fit: all })
  }

  view(id: string, entity: Fields, ...layers: (readonly Leaf[] | undefined)[]): Fields {
    const fit = this.#fits.get(id)
    if (fit !== undefined && !fit.leaves.every((leaf, i) => equal(read(entity, leaf.path), fit.over[i]))) {
      this.#fits.delete(id)
      const { fit: _, ...rest } = this.#screens.get(id) ?? {}
      this.#screens.set(id, rest)
    }
    return this.views.view(id, [entity, this.#screens.get(id), ...layers])
  }

  keepOnly(ids: ReadonlySet<string>): void {
    for (const id of this.views.keepOnly(ids)) {
      this.#screens.delete(id)
      this.#fits.delete(id)
    }
  }
}

export class Picture<N extends Node, E extends Edge> {
  readonly #of: { readonly graph: Graph }
  readonly #layers: Layers
  /** Views and notes, by kind. */
  readonly node: Side
  readonly edge: Side
  #snapshot: FlowSnapshot<N, E> = { nodes: [], edges: [], ready: false, readOnly: false }
  #seen: unknown = null

  constructor(of: { readonly graph: Graph }, layers: Layers) {
    this.#of = of
    this.#layers = layers
    this.node = new Side(of)
    this.edge = new Side(of)
  }

  /** The last one that was built; built again if the graph moved on without telling. */
  snapshot(): FlowSnapshot<N, E> {
    if (this.#seen !== this.#of.graph.getSnapshot()) this.rebuild()
    return this.#snapshot
  }

  fit(id: string, leaves: readonly Leaf[]): void {
    const entity = this.#of.graph.node(id)
    if (entity !== undefined) this.node.fit(id, leaves, entity)
  }

  /** Puts the layers together. Lists in which nothing changed are the same lists. */
  rebuild(): FlowSnapshot<N, E> {
    const graph = this.#of.graph.getSnapshot()
    this.#seen = graph
    const removed = [...this.#layers.task.node.byId].flatMap(([id, edit]) => (edit.kind === 'remove' ? [id] : []))
    const gone = goneWith(removed, this.#layers.task.node, {
      nodes: graph.nodes,
      node: (id) => this.#of.graph.node(id),
      edge: (id) => this.#of.graph.edge(id),
    })
    const nodes = sameList(this.#snapshot.nodes, this.#nodes(graph.nodes, gone))
    const edges = sameList(this.#snapshot.edges, this.#edges(graph.edges, gone))
    const readOnly = this.#of.graph.status.access === 'read'
    const { ready } = graph
    const now = this.#snapshot
    if (nodes !== now.nodes || edges !== now.edges || ready !== now.ready || readOnly !== now.readOnly) {
      this.#snapshot = { nodes, edges, ready, readOnly }
    }
    return this.#snapshot
  }

  #nodes(stored: readonly GraphNode[], gone: ReadonlySet<string>): N[] {
    const { held, previews } = this.#layers
    const task = this.#layers.task.node
    const views: Fields[] = []
    for (const node of stored) {
      if (gone.has(node.id)) continue
      const { id } = node
      const layers = [previews.leaves(id), leavesOf(held.edits.node.byId.get(id)), leavesOf(task.byId.get(id))]
      views.push(this.node.view(id, node, ...layers))
    }
    let mayBeUnordered = false
    for (const [id, edit] of task.byId) {
      if (edit.kind === 'create' && this.#of.graph.node(id) === undefined) views.push(this.node.view(id, edit.entity))
      mayBeUnordered ||=
        edit.kind === 'create' || (edit.kind === 'write' && edit.leaves.some(({ path }) => path[0] === 'parentId'))
    }
    if (views.length !== this.#snapshot.nodes.length) this.node.keepOnly(idsOf(views))
    const list = views as unknown as N[]
    return mayBeUnordered ? [...parentsFirst(list)] : list
  }

  #edges(stored: readonly GraphEdge[], gone: ReadonlySet<string>): E[] {
    const { held } = this.#layers
    const task = this.#layers.task.edge
    const views: Fields[] = []
    for (const edge of stored) {
      const edit = task.byId.get(edge.id)
      if (edit?.kind === 'remove' || gone.has(edge.source) || gone.has(edge.target)) continue
      views.push(this.edge.view(edge.id, edge, leavesOf(held.edits.edge.byId.get(edge.id)), leavesOf(edit)))
    }
    for (const [id, edit] of task.byId) {
      if (edit.kind === 'create' && this.#of.graph.edge(id) === undefined) views.push(this.edge.view(id, edit.entity))
    }
    if (views.length !== this.#snapshot.edges.length) this.edge.keepOnly(idsOf(views))
    return views as unknown as E[]
  }
}

const idsOf = (views: readonly Fields[]): Set<string> => new Set(views.map((view) => String(view.id)))

function sameList<T>(before: T[], after: T[]): T[] {
  return before.length === after.length && before.every((item, i) => item === after[i]) ? before : after
}
