/**
 * The public types of `@dao-api/client`. Nothing here has behaviour.
 *
 * Units: times are Unix milliseconds unless a name says otherwise. Sizes are bytes.
 */

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json }
export type JsonObject = { [key: string]: Json }

export interface Position {
  x: number
  y: number
}

/** A node as an editor sees it: without `createdAt`, `updatedAt` and `version`, which {@link Graph.meta} gives. */
export interface GraphNode {
  id: string
  type?: string
  position: Position
  data?: Json
  parentId?: string
  [attribute: string]: Json | Position | undefined
}

/** An edge as an editor sees it. */
export interface GraphEdge {
  id: string
  source: string
  target: string
  sourceHandle?: string
  targetHandle?: string
  type?: string
  data?: Json
  [attribute: string]: Json | undefined
}

/** What the server keeps beside a node or edge: times in Unix milliseconds, the graph's version of the last change. */
export interface EntityMeta {
  createdAt: number
  updatedAt: number
  version: number
}

/**
 * One picture of a graph: confirmed state with the pending commands applied. It is never changed in place.
 * Entities that did not change are the same objects as in the picture before. Parents stand before their children.
 */
export interface GraphSnapshot {
  readonly nodes: readonly GraphNode[]
  readonly edges: readonly GraphEdge[]
  readonly viewport: { x: number; y: number; zoom: number }
  readonly attributes: JsonObject
  /** `false` until the first state came, from this device or from the server. */
  readonly ready: boolean
}

export type OnConflict = 'reject' | 'merge' | 'overwrite'
export type Access = 'read' | 'write' | 'admin'

/** `connecting`: no state yet. `live`: following. `offline`: trying again. `needs-auth`: the token is refused. */
export type Connection = 'connecting' | 'live' | 'offline' | 'needs-auth' | 'closed'

export interface Status {
  readonly connection: Connection
  /** Commands without a final outcome. */
  readonly pending: number
  /** `true` while every pending command would survive the end of this program. */
  readonly persisted: boolean
  readonly access: Access | null
  /** While the server refuses to let this client follow the graph: the code of its refusal. */
  readonly refusal?: string
  readonly point: { readonly version: number; readonly hash: string | null }
}

export interface Conflict {
  entity: 'node' | 'edge' | 'viewport' | 'graph'
  id?: string
  /** JSON Pointer of the field; absent when the whole entity is meant. */
  path?: string
  /** What the command wanted to write. */
  yours?: Json
  /** What stands now. */
  current?: Json
  /** Who wrote it, in which version, when known. */
  by?: string
  version?: number
}

/** The final outcome of a command that was taken. */
export interface Outcome {
  outcome: 'applied' | 'merged' | 'unchanged'
  version: number
  /** What the server says beside it, for example what an undo left alone. */
  result?: JsonObject
}

/** Why a command was refused for good. `settled` rejects with it. */
export interface Refusal {
  readonly operationId: string
  /** The server's code (`CONFLICT`, `NODE_NOT_FOUND` …), or `expired`, `history_replaced`. */
  readonly code: string
  readonly message: string
  /** One sentence for a person. */
  readonly summary: string
  readonly conflicts: readonly Conflict[]
  /** The operation whose refusal is the cause of this one. */
  readonly cause?: string
  /** Sends the same intent again under a new id. Returns `null` if there is nothing to send, throws if the graph is closed. */
  retry(onConflict?: OnConflict): Sent | null
  /** Forgets the intent. */
  discard(): void
}

/** A command that was made. The picture shows it already. */
export interface Sent {
  readonly operationId: string
  /** Resolves or rejects exactly once. A rejection that nobody handles is not an unhandled rejection. */
  readonly settled: Promise<Outcome>
  /** Resolves when the command would survive the end of this program; with a queue in memory, never. */
  readonly persisted: Promise<void>
}

export interface CommandOptions {
  onConflict?: OnConflict
  /** The operation this command builds on (`after` in rule W5). */
  after?: string
  /** Shown as the label of the undo step. */
  label?: string
  /** Commands of one group are one step of undo. */
  undoGroup?: string
  /**
   * The point the user saw, for a command that is made later than the edit: text that was being typed, a drag that was
   * going on. Left out: the point of now. What others wrote to the same field since is then a conflict, not overwritten.
   */
  since?: Status['point']
}

export type NewNode = Omit<GraphNode, 'id' | 'position'> & { id?: string; position?: Position }
export type NewEdge = Omit<GraphEdge, 'id'> & { id?: string }

/** What can be written, one by one or inside {@link Graph.batch}. */
export interface Writes<R> {
  createNode(node: NewNode, options?: CommandOptions): R & { readonly id: string }
  updateNode(id: string, patch: JsonObject, options?: CommandOptions): R
  moveNode(id: string, position: Position, options?: CommandOptions): R
  /** Replaces whole nodes or edges (rule `BATCH_UPDATE`): the way to say a `null` inside `data`. */
  replaceNodes(nodes: readonly GraphNode[], options?: CommandOptions): R
  deleteNode(id: string, options?: CommandOptions): R
  createEdge(edge: NewEdge, options?: CommandOptions): R & { readonly id: string }
  updateEdge(id: string, patch: JsonObject, options?: CommandOptions): R
  deleteEdge(id: string, options?: CommandOptions): R
  setViewport(viewport: { x: number; y: number; zoom: number }, options?: CommandOptions): R
}

export interface BatchOptions extends CommandOptions {
  /** `skip` leaves out members whose target is gone. */
  ifMissing?: 'refuse' | 'skip'
}

export interface Presence {
  clientId: string
  userId: string
  /** By slot; `""` is the default one. */
  slots: { readonly [slot: string]: Json }
}

export interface PresenceWriter {
  /** `null` removes it. Values are sent at most 30 times a second, the last one always. */
  set(state: Json | null, slot?: string): void
}

export interface UndoState {
  readonly canUndo: boolean
  readonly canRedo: boolean
  readonly undoLabel: string | null
  readonly redoLabel: string | null
}

/** What an undo or redo did. */
export interface UndoOutcome {
  outcome: 'applied' | 'merged' | 'unchanged'
  reverted: readonly { entity: string; id: string; paths?: readonly string[] }[]
  /** What was left alone, and why. */
  skipped: readonly JsonObject[]
}

export interface GraphEvents {
  /** A command was refused for good. */
  refused: Refusal
  /** A command ended well. */
  settled: { operationId: string; outcome: Outcome }
  /** The history on the server is another one than the one this client had. */
  replaced: { discarded: readonly string[] }
  /** A commit of somebody (or of this client) arrived. `operationId` is null if it was erased. */
  commit: { version: number; operationId: string | null; userId: string; clientId: string; types: readonly string[] }
}

/** One graph that this client follows. */
export interface Graph extends Writes<Sent> {
  readonly id: string
  readonly clientId: string
  /** One atomic commit and one step of undo. Nothing is sent when `fill` writes nothing or throws. */
  batch(label: string, fill: (batch: Writes<void>) => void, options?: BatchOptions): Sent | null
  /** The same object while nothing changed. */
  getSnapshot(): GraphSnapshot
  /** Called after each change of the picture. Returns the way to stop. */
  subscribe(listener: () => void): () => void
  node(id: string): GraphNode | undefined
  edge(id: string): GraphEdge | undefined
  meta(id: string): EntityMeta | undefined
  /** The same object while nothing changed; changes are told by {@link Graph.subscribeStatus}. */
  readonly status: Status
  subscribeStatus(listener: () => void): () => void
  readonly presence: PresenceWriter
  /** The same array while nobody's presence changed. */
  readonly others: readonly Presence[]
  subscribeOthers(listener: () => void): () => void
  /** `null` if there is nothing to take back, or the graph is closed. */
  undo(): Promise<UndoOutcome> | null
  redo(): Promise<UndoOutcome> | null
  /**
   * Makes an operation the latest step of undo that was sent otherwise than by this graph: over HTTP, such as a
   * `RESTORE_VERSION`. `version` is that of its commit, as its answer says.
   */
  addUndoStep(operation: { operationId: string; version: number }, label: string): void
  readonly history: UndoState
  subscribeHistory(listener: () => void): () => void
  on<E extends keyof GraphEvents>(event: E, listener: (value: GraphEvents[E]) => void): () => void
  /** Resolves when the first state is there. */
  readonly ready: Promise<void>
  /**
   * Lets go of it, once for each {@link Client.graph}. When nobody holds it, it is followed until what is pending has
   * ended; then it is closed: writing and {@link Refusal.retry} throw, `undo` and `redo` return `null`. Asked for before
   * that, it stays; later, the client makes another.
   */
  close(): void
}

export interface Client {
  /**
   * The graph, which is followed from now on. Every call holds it until its {@link Graph.close}; all get the same one. One
   * that the server refused to let this client follow is asked for again with every call.
   */
  graph(id: string): Graph
  /** One id per connection of a tab; commits under it are one's own. */
  readonly clientId: string
  /** Ends everything; what is persisted stays. */
  close(): Promise<void>
  /** Deletes what is stored on this device for this user. */
  forget(): Promise<void>
  /**
   * Frames and steps as they happen, for tools: see `@dao-api/client/devtools`. The latest 500 wait for a slow reader.
   * Costs nothing while nobody reads.
   */
  inspect(): AsyncIterableIterator<Inspected>
}

/** What {@link Client.inspect} tells. Frames are as on the wire; inputs and effects are for tools, and may change. */
export type Inspected =
  | { readonly type: 'frame'; readonly at: number; readonly direction: 'in' | 'out'; readonly frame: unknown }
  | {
      readonly type: 'step'
      readonly at: number
      readonly graphId: string
      readonly input: unknown
      readonly effects: readonly unknown[]
    }

export interface ClientOptions {
  /** `ws://…/ws` or `wss://…/ws`. Its query is kept. */
  url: string
  /** Asked before each AUTH. Left out: a server without authentication. A failure is a reason to wait, never an end. */
  token?: () => string | Promise<string>
  /** Left out: the queue is in memory. */
  persist?: Persistence
  /** How frames are written: JSON, or `msgpack` of `@dao-api/client/msgpack`. */
  codec?: Codec
  /** The class of WebSockets. Left out: the global one. Node before 22 has none: pass that of the package `ws`. */
  WebSocket?: WebSocketClass
}

/** A class of WebSockets as browsers have it. The instances are used by the properties of the standard. */
export type WebSocketClass = new (url: string, protocols: string[]) => object

/** How frames are written on the wire. */
export interface Codec {
  /** The subprotocol of the WebSocket. */
  readonly protocol: string
  encode(frame: JsonObject): string | Uint8Array<ArrayBuffer>
  /** Throws if it can't be read. */
  decode(data: unknown): JsonObject
}

/** Where a client keeps its queue and its copy of the graphs. Made by `@dao-api/client/indexeddb`. */
export interface Persistence {
  readonly kind: string
}
