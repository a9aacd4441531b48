/** The lists that React Flow is given: the graph with all layers on top. Nothing in here sends. */
import type { Graph, GraphEdge, GraphNode } from '@dao-api/client'
import type { Edge, Node } from '@xyflow/react'
import type { Edit, Layer } from './edits.ts'
import type { Held } from './held.ts'
import { addLeaf, equal, type Fields, type Leaf, read } from './leaves.ts'
import { Marked } from './marked.ts'
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
  readonly screens: Marked<Screen> = new Marked()
  /** The ids that are selected on this screen, in the order in which they were. */
  readonly selected: Set<string> = new Set()
  /** What was stored when the list was last made, and its views, one for one. */
  stored: readonly Fields[] = []
  list: readonly Fields[] = []
  readonly #fits = new Map<string, { leaves: readonly Leaf[]; over: readonly unknown[] }>()

  constructor(flow: unknown) {
    this.views = new ViewCache(flow)
  }

  screen(id: string, change: Screen): void {
    const before: Screen = this.screens.get(id) ?? {}
    const news = Object.entries(change).some(([key, value]) => {
      const old = before[key as keyof Screen]
      return !equal(old, value) && !(old === undefined && value === false)
    })
    if (news) this.screens.set(id, { ...before, ...change })
    if (change.selected === true) this.selected.add(id)
    else if (change.selected === false) this.selected.delete(id)
  }

  fields(id: string, leaves: readonly Leaf[]): void {
    if (leaves.length > 0) this.screen(id, { fields: leaves.reduce(addLeaf, this.screens.get(id)?.fields ?? []) })
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
      const { fit: _, ...rest } = this.screens.get(id) ?? {}
      this.screens.set(id, rest)
    }
    return this.views.view(id, [entity, this.screens.get(id), ...layers])
  }

  /** The views of what is stored, one for one. Only what was replaced or is in `changed` is looked at. */
  viewsOf<T extends Fields & { id: string }>(
    stored: readonly T[],
    changed: readonly ReadonlySet<string>[],
    make: (entity: T) => Fields,
  ): readonly Fields[] {
    const some = changed.some((ids) => ids.size > 0)
    if (stored === this.stored && !some) return this.list
    let different = stored.length !== this.stored.length
    const list = stored.map((entity, i) => {
      const before = this.list[i]
      const same = entity === this.stored[i] && !(some && changed.some((ids) => ids.has(entity.id)))
      const view = same && before !== undefined ? before : make(entity)
      different ||= view !== before
      return view
    })
    this.stored = stored
    if (different) this.list = list
    return this.list
  }

  keepOnly(ids: ReadonlySet<string>): void {
    for (const id of this.views.keepOnly(ids)) {
      this.screens.delete(id)
      this.selected.delete(id)
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
    for (const ids of [...this.#marks('node'), ...this.#marks('edge')]) ids.clear()
    const readOnly = this.#of.graph.status.access === 'read'
    const { ready } = graph
    const now = this.#snapshot
    if (nodes !== now.nodes || edges !== now.edges || ready !== now.ready || readOnly !== now.readOnly) {
      this.#snapshot = { nodes, edges, ready, readOnly }
    }
    return this.#snapshot
  }

  /** The ids whose layers changed since the last look. */
  #marks(kind: 'node' | 'edge'): Set<string>[] {
    const { task, held, previews } = this.#layers
    const all = [this[kind].screens.changed, held.edits[kind].byId.changed, task[kind].byId.changed]
    return kind === 'node' ? [...all, previews.byId.changed] : all
  }

  #nodes(stored: readonly GraphNode[], gone: ReadonlySet<string>): N[] {
    const { held, previews } = this.#layers
    const task = this.#layers.task.node.byId
    const kept = this.node.viewsOf(stored, this.#marks('node'), (node) => {
      const layers = [previews.leaves(node), leavesOf(held.edits.node.byId.get(node.id)), leavesOf(task.get(node.id))]
      return this.node.view(node.id, node, ...layers)
    })
    const list = this.#finish('node', kept, (view) => gone.has(String(view.id)))
    const mayBeUnordered = [...task.values()].some(
      (edit) =>
        edit.kind === 'create' || (edit.kind === 'write' && edit.leaves.some(({ path }) => path[0] === 'parentId')),
    )
    return (mayBeUnordered ? parentsFirst(list as unknown as N[]) : list) as N[]
  }

  #edges(stored: readonly GraphEdge[], gone: ReadonlySet<string>): E[] {
    const held = this.#layers.held.edits.edge.byId
    const task = this.#layers.task.edge.byId
    const kept = this.edge.viewsOf(stored, this.#marks('edge'), (edge) =>
      this.edge.view(edge.id, edge, leavesOf(held.get(edge.id)), leavesOf(task.get(edge.id))),
    )
    const isGone = ({ id, source, target }: Fields): boolean =>
      task.get(String(id))?.kind === 'remove' || gone.has(String(source)) || gone.has(String(target))
    return this.#finish('edge', kept, isGone) as unknown as E[]
  }

  /** Without what this task removes, with what it makes. */
  #finish(kind: 'node' | 'edge', kept: readonly Fields[], isGone: (view: Fields) => boolean): readonly Fields[] {
    const task = this.#layers.task
    let list = kept
    if (!task.isEmpty) {
      const made = [...task[kind].byId].flatMap(([id, edit]) =>
        edit.kind === 'create' && this.#graphHas(kind, id) === false ? [this[kind].view(id, edit.entity)] : [],
      )
      list = [...kept.filter((view) => !isGone(view)), ...made]
    }
    if (list.length !== this[kind].views.size) this[kind].keepOnly(idsOf(list))
    return list
  }

  #graphHas(kind: 'node' | 'edge', id: string): boolean {
    return (kind === 'node' ? this.#of.graph.node(id) : this.#of.graph.edge(id)) !== undefined
  }
}

const idsOf = (views: readonly Fields[]): Set<string> => new Set(views.map((view) => String(view.id)))

function sameList<T>(before: T[], after: T[]): T[] {
  if (before === after) return before
  return before.length === after.length && before.every((item, i) => item === after[i]) ? before : after
}
