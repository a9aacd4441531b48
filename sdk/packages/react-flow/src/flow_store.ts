/**
 * React Flow's changes in, React Flow's nodes and edges out, a graph between. This file knows nothing of React: the hooks
 * around it are thin, and tests drive it alone.
 *
 * Layers, from below: the graph (confirmed state with pending commands) · what others drag · what is held (a drag that is
 * going on, text that is being typed) · what this task did and is about to be sent · what belongs to this screen.
 */
import type { BatchOptions, Graph, GraphEdge, GraphNode, Json, Position, Sent, UndoOutcome } from '@dao-api/client'
import type { Connection, Edge, EdgeChange, Node, NodeChange } from '@xyflow/react'
import { type Clip, clip, renewed } from './clipboard.ts'
import { Layer } from './edits.ts'
import { Held } from './held.ts'
import { equal, type Fields, type Leaf, parsePointer, read } from './leaves.ts'
import { difference, LocalRules } from './local.ts'
import type { FlowOptions, Lease, Surroundings } from './options.ts'
import { withDescendants } from './order.ts'
import { People } from './people.ts'
import { type FlowSnapshot, Picture } from './picture.ts'
import { plan, send } from './plan.ts'
import { CURSOR, type Person, Previews } from './presence.ts'
import { originOf } from './view.ts'

export class FlowStore<N extends Node = Node, E extends Edge = Edge> {
  options: FlowOptions<E>
  readonly #lease: Lease
  #graph: Graph | null = null
  readonly #around: Surroundings
  readonly #rules: LocalRules
  readonly #task = new Layer()
  readonly #held: Held
  readonly #previews = new Previews()
  readonly #people: People
  readonly #picture: Picture<N, E>
  readonly #listeners = new Set<() => void>()
  #emitted: FlowSnapshot<N, E> | null = null
  #flushAsked = false
  /** While commands are handed over, the graph tells each of them; the view changes once, after all. */
  #silent = false
  #detach: (() => void) | null = null

  constructor(lease: Lease, options: FlowOptions<E>, around: Surroundings) {
    this.#lease = lease
    this.options = options
    this.#around = around
    this.#rules = new LocalRules(options.local, around.warn)
    this.#held = new Held(this, around, () => this.#sendHeld())
    this.#picture = new Picture<N, E>(this, {
      task: this.#task,
      held: this.#held,
      previews: this.#previews,
    })
    this.#people = new People(this, this.#previews, around, () => this.#emit())
  }

  /** The graph. While nobody listens it may be closed, so that it is opened when it is asked for. */
  get graph(): Graph {
    return this.#graph ?? this.#lease.open()
  }

  /** Called after each change of the snapshot. The store follows the graph while somebody listens. */
  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    this.#detach ??= this.#attach()
    return () => {
      this.#listeners.delete(listener)
      if (this.#listeners.size > 0) return
      this.#flushAtTheEnd()
      this.#detach?.()
      this.#detach = null
      this.#graph = null
    }
  }

  /** The client may have been closed before, as when somebody signs out: nobody sends what is held, and that is said. */
  #flushAtTheEnd(): void {
    try {
      this.flush()
    } catch (error) {
      this.#around.warn(`an edit was not sent: ${error instanceof Error ? error.message : error}`)
    }
  }

  getSnapshot = (): FlowSnapshot<N, E> => {
    return this.#silent && this.#emitted !== null ? this.#emitted : this.#picture.snapshot()
  }

  node = (id: string): N | undefined => this.#picture.node.views.get(id) as N | undefined
  edge = (id: string): E | undefined => this.#picture.edge.views.get(id) as E | undefined

  /** Who else is here, one entry for each tab. The same array while nothing changed. */
  people = (): readonly Person[] => this.#people.list()

  /** Who else has a node or edge selected. The same array while that is the same. */
  selectedBy = (id: string): readonly Person[] => this.#people.selectedBy(id)

  /** React Flow's `onNodesChange`. */
  onNodesChange = (changes: NodeChange<N>[]): void => {
    this.#held.begin(changes as NodeChange[])
    // Sizes that React Flow measured, and what a parent grew by because of them, are different on every screen.
    const measuring = changes.some(
      (change) => change.type === 'dimensions' && !change.setAttributes && change.resizing === undefined,
    )
    for (const change of changes) this.#nodeChange(change, measuring && !this.#held.isOpen)
    this.#held.end(changes as NodeChange[])
    this.#changed()
  }

  #nodeChange(change: NodeChange<N>, measuring: boolean): void {
    if (change.type === 'add') {
      this.#add('node', change.item as Fields)
      return
    }
    const { id, type } = change
    if (type === 'select') this.#picture.node.screen(id, { selected: change.selected })
    else if (type === 'replace') this.#replace('node', id, change.item as Fields)
    else if (type === 'remove') this.#remove('node', id)
    else if (type === 'position') {
      if (change.dragging !== undefined) this.#picture.node.screen(id, { dragging: change.dragging })
      if (change.position === undefined) return
      const { x, y } = change.position
      this.#layout(id, [{ path: ['position'], value: { x, y } }], measuring)
    } else {
      if (change.resizing !== undefined) this.#picture.node.screen(id, { resizing: change.resizing })
      if (change.dimensions === undefined) return
      const { width, height } = change.dimensions
      this.#picture.node.screen(id, { measured: { width, height } })
      const leaves: Leaf[] = []
      if (change.setAttributes === true || change.setAttributes === 'width')
        leaves.push({ path: ['width'], value: width })
      if (change.setAttributes === true || change.setAttributes === 'height')
        leaves.push({ path: ['height'], value: height })
      this.#layout(id, leaves, measuring)
    }
  }

  /** React Flow's `onEdgesChange`. */
  onEdgesChange = (changes: EdgeChange<E>[]): void => {
    for (const change of changes) {
      if (change.type === 'select') this.#picture.edge.screen(change.id, { selected: change.selected })
      else if (change.type === 'add') this.#add('edge', change.item as Fields)
      else if (change.type === 'replace') this.#replace('edge', change.id, change.item as Fields)
      else this.#remove('edge', change.id)
    }
    this.#changed()
  }

  /** React Flow's `onConnect`. A connection that exists already is not made again. */
  onConnect = (connection: Connection): void => {
    if (!this.writable || !connection.source || !connection.target) return
    const exists = this.getSnapshot().edges.some(
      (edge) =>
        edge.source === connection.source &&
        edge.target === connection.target &&
        (edge.sourceHandle ?? null) === (connection.sourceHandle ?? null) &&
        (edge.targetHandle ?? null) === (connection.targetHandle ?? null),
    )
    if (exists) return
    this.#add('edge', { ...this.options.newEdge?.(connection), ...ends(connection), id: this.#around.newId() })
    this.#changed()
  }

  /** React Flow's `onReconnect`. The edge keeps its id, and with it its data and its history. */
  onReconnect = (edge: E, connection: Connection): void => {
    if (!this.writable || !connection.source || !connection.target) return
    const to = ends(connection)
    const leaves = ['source', 'target', 'sourceHandle', 'targetHandle'].map((key) => ({ path: [key], value: to[key] }))
    this.#task.edge.write(
      edge.id,
      leaves.filter((leaf) => (read(this.edge(edge.id), leaf.path) ?? null) !== (leaf.value ?? null)),
    )
    this.#changed()
  }

  /**
   * Writes one field of a node or edge, given by a JSON Pointer. The view has it when the call returns. Text over text is
   * held until nothing was typed for 300 ms, one second at most, and is one step of undo.
   */
  setField = (id: string, pointer: string, value: Json | undefined): void => {
    if (!this.writable) return
    const path = parsePointer(pointer)
    const kind = this.node(id) === undefined ? 'edge' : 'node'
    const view: Fields | undefined = kind === 'node' ? this.node(id) : this.edge(id)
    if (view === undefined || equal(read(view, path), value)) return
    const leaf: Leaf = { path, value }
    const isText = typeof value === 'string' && typeof read(view, path) === 'string'
    if (this.#rules.has(view.type, path)) this.#picture[kind].fields(id, [leaf])
    else if (!isText || !this.#held.type(kind, id, leaf)) this.#task[kind].write(id, [leaf])
    this.#changed()
  }

  /** The selected nodes with what is inside them and the edges among them, as JSON; `null` if none is selected. */
  copy = (): Clip | null => {
    this.flush()
    const { nodes, edges } = this.graph.getSnapshot()
    const selected = this.getSnapshot().nodes.flatMap((node) => (node.selected ? [node.id] : []))
    return selected.length === 0 ? null : clip(withDescendants(selected, nodes), nodes, edges)
  }

  /**
   * Puts a copy into the graph under new ids, as one commit, and selects it. `at` is where its upper left corner comes to
   * lie, in the flow's coordinates; left out, a little beside the original. Returns the ids of the new nodes.
   */
  paste = (from: Clip, at?: Position): string[] => {
    if (!this.writable || from.nodes.length === 0) return []
    const { nodes, edges } = renewed(from, at, this.#around.newId)
    for (const { id, selected } of this.getSnapshot().nodes)
      if (selected) this.#picture.node.screen(id, { selected: false })
    for (const { id, selected } of this.getSnapshot().edges)
      if (selected) this.#picture.edge.screen(id, { selected: false })
    for (const node of nodes) {
      this.#task.node.create(node.id, node, undefined, this.#rules)
      if (node.parentId === undefined) this.#picture.node.screen(node.id, { selected: true })
    }
    for (const edge of edges) this.#task.edge.create(edge.id, edge, undefined, this.#rules)
    this.#changed()
    return nodes.map((node) => node.id)
  }

  /** Sends the viewport with which the graph opens for everybody. */
  saveViewport = (viewport: { x: number; y: number; zoom: number }): Sent => this.graph.setViewport(viewport)

  /** Takes back the last step of this tab, after what is still open was sent. `null` if there is none. */
  undo = (): Promise<UndoOutcome> | null => {
    this.flush()
    return this.graph.undo()
  }

  redo = (): Promise<UndoOutcome> | null => {
    this.flush()
    return this.graph.redo()
  }

  /**
   * Sends everything that is held or collected, as one commit. It is called by itself at the end of a task, of a gesture
   * and of the subscription; call it before a page goes away.
   */
  flush = (): Sent | null => {
    const { edits, options } = this.#held.take()
    return this.#send(edits.move(this.#task), options)
  }

  /** Shows others where the pointer is, in the flow's coordinates; `null` when it left. */
  setCursor = (at: Position | null): void => {
    this.graph.presence.set(at === null ? null : { x: Math.round(at.x), y: Math.round(at.y) }, CURSOR)
  }

  /** `false` when the access to the graph is `read`. */
  get writable(): boolean {
    return this.graph.status.access !== 'read'
  }

  #add(kind: 'node' | 'edge', item: Fields): void {
    if (!this.writable) return
    const id = String(item.id)
    const { shared, local } = difference({}, item, this.#rules)
    const entity = Object.fromEntries(shared.map(({ path, value }) => [path[0]!, value]))
    const before: GraphNode | GraphEdge | undefined = kind === 'node' ? this.graph.node(id) : this.graph.edge(id)
    this.#task[kind].create(id, { ...entity, id }, before, this.#rules)
    this.#picture[kind].fields(id, local)
    if (item.selected === true) this.#picture[kind].screen(id, { selected: true })
  }

  #remove(kind: 'node' | 'edge', id: string): void {
    if (this.writable) this.#task[kind].remove(id)
  }

  /** A replaced object is compared with the one it was made of: what others changed since stays theirs. */
  #replace(kind: 'node' | 'edge', id: string, item: Fields): void {
    const origin = originOf(item)
    const now: Fields | undefined = kind === 'node' ? this.node(id) : this.edge(id)
    const before = origin?.flow === this && origin.view.id === id ? origin.view : now
    if (before === undefined) return
    const { shared, local, selected } = difference(before, item, this.#rules)
    if (selected !== undefined) this.#picture[kind].screen(id, { selected })
    this.#picture[kind].fields(id, local)
    if (this.writable) this.#task[kind].write(id, shared)
  }

  /** A place or size: held while a gesture goes on, of this screen while measuring, else written. */
  #layout(id: string, leaves: readonly Leaf[], measuring: boolean): void {
    const news = leaves.filter((leaf) => !equal(read(this.node(id), leaf.path), leaf.value))
    const isGone = this.node(id) === undefined && !this.#task.node.byId.has(id)
    if (leaves.length === 0 || isGone) return
    if (measuring) {
      if (news.length > 0) this.#picture.fit(id, news)
    } else if (this.writable) {
      this.#previews.override(id)
      if (this.#held.takesLayout) this.#held.layout(id, leaves)
      else this.#task.node.write(id, leaves)
    }
  }

  /** After changes of this screen: shown at once, sent at the end of the task. */
  #changed(): void {
    this.#emit()
    this.#showDrag()
    if (this.#flushAsked || (this.#task.isEmpty && !this.#held.isDue)) return
    this.#flushAsked = true
    // Two microtasks: React renders in one, and a layout effect of that render may belong to the same gesture, as when
    // `onNodeDragStop` puts a node into a group.
    queueMicrotask(() =>
      queueMicrotask(() => {
        this.#flushAsked = false
        this.#endOfTask()
      }),
    )
  }

  /** A gesture that has ended is one commit with what came with it. One that goes on is left alone. */
  #endOfTask(): void {
    if (this.#held.isDue) {
      this.flush()
      return
    }
    if (this.#held.isOpen) {
      for (const [id, edit] of this.#task.node.byId) if (edit.kind === 'remove') this.#held.forget(id)
    } else {
      this.#sendHeld()
    }
    this.#send(this.#task.take())
  }

  #sendHeld(): void {
    const { edits, options } = this.#held.take()
    this.#send(edits, options)
  }

  #send(edits: Layer, options: BatchOptions = {}): Sent | null {
    if (edits.isEmpty) return null
    const before = this.#silent
    this.#silent = true
    try {
      const ground = {
        nodes: this.graph.getSnapshot().nodes,
        node: (id: string) => this.graph.node(id),
        edge: (id: string) => this.graph.edge(id),
      }
      return send(plan(edits, ground), this.graph, options)
    } finally {
      this.#silent = before
      this.#emit()
      this.#showDrag()
    }
  }

  #showMe(): void {
    this.#people.show(this.options.me, this.#picture.node.selected, this.#picture.edge.selected)
  }

  #showDrag(): void {
    this.#held.show((id) => this.node(id) as GraphNode | undefined)
  }

  #emit(): void {
    if (this.#silent) return
    const now = this.#picture.rebuild()
    if (now === this.#emitted) return
    this.#emitted = now
    if (this.#listeners.size === 0) return
    this.#showMe()
    for (const listener of this.#listeners) listener()
  }

  #attach(): () => void {
    const { graph, release } = this.#lease.retain()
    this.#graph = graph
    this.#emitted = this.#picture.rebuild()
    const stops = [
      graph.subscribe(() => this.#emit()),
      graph.subscribeStatus(() => this.#emit()),
      this.#around.leaving(() => void this.flush()),
      this.#people.follow(),
      release,
    ]
    this.#showMe()
    return () => {
      for (const stop of stops) stop()
    }
  }
}

function ends(connection: Connection): Fields {
  const { source, target, sourceHandle, targetHandle } = connection
  return {
    source,
    target,
    ...(sourceHandle != null && { sourceHandle }),
    ...(targetHandle != null && { targetHandle }),
  }
}
