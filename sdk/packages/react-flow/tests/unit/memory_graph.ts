/** A graph in memory, for tests of the flow store: it applies writes at once and notes the commits they would be. */
import type {
  Access,
  BatchOptions,
  CommandOptions,
  Graph,
  GraphEdge,
  GraphEvents,
  GraphNode,
  GraphSnapshot,
  Json,
  JsonObject,
  NewEdge,
  NewNode,
  Position,
  Presence,
  Refusal,
  Sent,
  Status,
  UndoOutcome,
  Writes,
} from '@dao-api/client'

/** One write as a test sees it: `['moveNode', 'a', {x: 1, y: 2}]`. */
export type Call = readonly [name: string, ...args: unknown[]]

export interface Commit {
  label: string | undefined
  options: BatchOptions
  calls: Call[]
}

let made = 0

function merge(target: unknown, patch: JsonObject): JsonObject {
  const now: JsonObject = { ...(target as JsonObject) }
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete now[key]
    else if (typeof value === 'object' && !Array.isArray(value)) now[key] = merge(now[key] ?? {}, value)
    else now[key] = value
  }
  return now
}

export class MemoryGraph implements Graph {
  readonly id = 'g'
  readonly clientId = 'tab-1'
  readonly commits: Commit[] = []
  readonly shown: { slot: string; state: Json | null }[] = []
  status: Status = {
    connection: 'live',
    pending: 0,
    persisted: true,
    access: 'write',
    point: { version: 7, hash: 'h7' },
  }
  others: readonly Presence[] = []
  history = { canUndo: false, canRedo: false, undoLabel: null, redoLabel: null }
  ready: Promise<void> = Promise.resolve()
  undone = 0
  addUndoStep(): void {}
  closed = false
  released = 0
  #snapshot: GraphSnapshot
  readonly #refused = new Set<(refusal: Refusal) => void>()
  readonly #listeners = { graph: new Set<() => void>(), status: new Set<() => void>(), others: new Set<() => void>() }

  constructor(nodes: GraphNode[] = [], edges: GraphEdge[] = []) {
    this.#snapshot = { nodes, edges, viewport: { x: 0, y: 0, zoom: 1 }, attributes: {}, ready: true }
  }

  get listening(): number {
    return this.#listeners.graph.size + this.#listeners.status.size + this.#listeners.others.size
  }
  getSnapshot = (): GraphSnapshot => this.#snapshot
  node = (id: string): GraphNode | undefined => this.#snapshot.nodes.find((node) => node.id === id)
  edge = (id: string): GraphEdge | undefined => this.#snapshot.edges.find((edge) => edge.id === id)
  meta = (): undefined => undefined
  subscribe = (listener: () => void): (() => void) => this.#listen('graph', listener)
  subscribeStatus = (listener: () => void): (() => void) => this.#listen('status', listener)
  subscribeOthers = (listener: () => void): (() => void) => this.#listen('others', listener)
  subscribeHistory = (): (() => void) => () => {}
  on = <E extends keyof GraphEvents>(event: E, listener: (value: GraphEvents[E]) => void): (() => void) => {
    if (event === 'refused') this.#refused.add(listener as (refusal: Refusal) => void)
    return () => void this.#refused.delete(listener as (refusal: Refusal) => void)
  }
  presence = { set: (state: Json | null, slot = ''): void => void this.shown.push({ slot, state }) }
  close = (): void => {
    this.closed = true
  }
  redo = (): null => null
  release = (): void => {
    this.released += 1
  }
  undo = (): Promise<UndoOutcome> => {
    this.undone += 1
    return Promise.resolve({ outcome: 'applied', reverted: [], skipped: [] })
  }

  /** What somebody else did: it is there at once and told. */
  remote(write: (graph: Writes<void>) => void): void {
    write(this.#writer([]))
    this.#tell('graph')
  }
  setOthers(others: Presence[]): void {
    this.others = others
    this.#tell('others')
  }
  refuse(refusal: Refusal): void {
    for (const listener of this.#refused) listener(refusal)
  }
  setAccess(access: Access): void {
    this.status = { ...this.status, access }
    this.#tell('status')
  }
  setStatus(status: Partial<Status>): void {
    this.status = { ...this.status, ...status }
    this.#tell('status')
  }
  setReady(ready: boolean): void {
    this.#snapshot = { ...this.#snapshot, ready }
    this.#tell('graph')
  }
  setPoint(version: number): void {
    this.status = { ...this.status, point: { version, hash: `h${version}` } }
  }

  batch = (label: string, fill: (batch: Writes<void>) => void, options: BatchOptions = {}): Sent | null => {
    const calls: Call[] = []
    fill(this.#writer(calls))
    return calls.length === 0 ? null : this.#commit(calls, options, label)
  }
  createNode = (node: NewNode, options?: CommandOptions): Sent & { id: string } =>
    Object.assign(
      this.#one((on) => on.createNode(node), options),
      { id: node.id ?? '' },
    )
  createEdge = (edge: NewEdge, options?: CommandOptions): Sent & { id: string } =>
    Object.assign(
      this.#one((on) => on.createEdge(edge), options),
      { id: edge.id ?? '' },
    )
  updateNode = (id: string, patch: JsonObject, options?: CommandOptions): Sent =>
    this.#one((on) => on.updateNode(id, patch), options)
  moveNode = (id: string, at: Position, options?: CommandOptions): Sent =>
    this.#one((on) => on.moveNode(id, at), options)
  replaceNodes = (nodes: readonly GraphNode[], options?: CommandOptions): Sent =>
    this.#one((on) => on.replaceNodes(nodes), options)
  deleteNode = (id: string, options?: CommandOptions): Sent => this.#one((on) => on.deleteNode(id), options)
  updateEdge = (id: string, patch: JsonObject, options?: CommandOptions): Sent =>
    this.#one((on) => on.updateEdge(id, patch), options)
  deleteEdge = (id: string, options?: CommandOptions): Sent => this.#one((on) => on.deleteEdge(id), options)
  setViewport = (to: { x: number; y: number; zoom: number }, options?: CommandOptions): Sent =>
    this.#one((on) => on.setViewport(to), options)

  #one(write: (on: Writes<void>) => void, options: CommandOptions = {}): Sent {
    const calls: Call[] = []
    write(this.#writer(calls))
    return this.#commit(calls, options, options.label)
  }

  #commit(calls: Call[], options: BatchOptions, label: string | undefined): Sent {
    this.commits.push({ label, options, calls })
    this.#tell('graph')
    made += 1
    return {
      operationId: `op-${made}`,
      settled: Promise.resolve({ outcome: 'applied', version: 8 }),
      persisted: Promise.resolve(),
    }
  }

  #listen(to: 'graph' | 'status' | 'others', listener: () => void): () => void {
    this.#listeners[to].add(listener)
    return () => void this.#listeners[to].delete(listener)
  }
  #tell(to: 'graph' | 'status' | 'others'): void {
    for (const listener of [...this.#listeners[to]]) listener()
  }
  #set(change: { nodes?: readonly GraphNode[]; edges?: readonly GraphEdge[] }): void {
    this.#snapshot = { ...this.#snapshot, ...change }
  }
  #mapNode(id: string, change: (node: GraphNode) => GraphNode): void {
    this.#set({ nodes: this.#snapshot.nodes.map((node) => (node.id === id ? change(node) : node)) })
  }

  #writer(calls: Call[]): Writes<void> {
    const note = (...call: [string, ...unknown[]]): void => void calls.push(call)
    return {
      createNode: (node) => {
        note('createNode', node)
        this.#set({ nodes: [...this.#snapshot.nodes, node as GraphNode] })
        return { id: node.id ?? '' } as never
      },
      createEdge: (edge) => {
        note('createEdge', edge)
        this.#set({ edges: [...this.#snapshot.edges, edge as GraphEdge] })
        return { id: edge.id ?? '' } as never
      },
      updateNode: (id, patch) => {
        note('updateNode', id, patch)
        this.#mapNode(id, (node) => merge(node, patch) as unknown as GraphNode)
      },
      moveNode: (id, position) => {
        note('moveNode', id, position)
        this.#mapNode(id, (node) => ({ ...node, position }))
      },
      replaceNodes: (nodes) => {
        note('replaceNodes', nodes)
        for (const node of nodes) this.#mapNode(node.id, () => node)
      },
      updateEdge: (id, patch) => {
        note('updateEdge', id, patch)
        const edges = this.#snapshot.edges.map((edge) =>
          edge.id === id ? (merge(edge, patch) as unknown as GraphEdge) : edge,
        )
        this.#set({ edges })
      },
      deleteEdge: (id) => {
        note('deleteEdge', id)
        this.#set({ edges: this.#snapshot.edges.filter((edge) => edge.id !== id) })
      },
      deleteNode: (id) => {
        note('deleteNode', id)
        const gone = new Set([id])
        for (const each of gone) {
          for (const { id: child, parentId } of this.#snapshot.nodes) if (parentId === each) gone.add(child)
        }
        this.#set({
          nodes: this.#snapshot.nodes.filter((node) => !gone.has(node.id)),
          edges: this.#snapshot.edges.filter((edge) => !gone.has(edge.source) && !gone.has(edge.target)),
        })
      },
      setViewport: (viewport) => note('setViewport', viewport),
    }
  }
}
