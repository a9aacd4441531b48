/** `createClient`: one connection, the graphs that it follows, and the device that keeps their queues. */

import type { Client, ClientOptions, Graph, Inspected, JsonObject, Status } from './api.ts'
import { json } from './codec.ts'
import { Connection } from './connection.ts'
import type { Device, DeviceSource } from './device.ts'
import { type Environment, surroundings } from './environment.ts'
import { GraphShell } from './graph.ts'
import type { Host } from './host.ts'
import { uuidV7 } from './ids.ts'
import type { Change } from './machine/effects.ts'
import type { GraphFrame, ServerFrame, Welcome } from './machine/frames.ts'
import { Recorder } from './recorder.ts'

/** Between looks for queues whose clients are gone (rule P7). Milliseconds. */
const ADOPT_EVERY = 2_000
/** How long a device may take to open. Without it all is in memory. Milliseconds. */
const DEVICE_PATIENCE = 10_000
/** A followed graph that is behind what a `PONG` says for this long has lost frames. Milliseconds. */
const BEHIND_MAX = 5_000

/** Opens a connection to a server. Graphs are followed as soon as they are asked for. */
export function createClient(options: ClientOptions): Client {
  return new ClientShell(options, surroundings(options.WebSocket))
}

export class ClientShell implements Client {
  readonly #environment: Environment
  readonly #options: ClientOptions
  readonly #connection: Connection
  readonly #graphs = new Map<string, GraphShell>()
  readonly #recorder = new Recorder()
  readonly #behind = new Map<string, { version: number; since: number }>()
  readonly #loading: Promise<void>
  #device: Device | null = null
  #welcome: Welcome | null = null
  readonly #proposedId: string
  #id: string
  #isClosed = false
  #releasePage: (() => void) | null = null
  #stopAdopting: () => void = () => {}
  /** Looks for queues: one at a time. */
  #looked: Promise<void> = Promise.resolve()
  readonly #stopListening: () => void
  readonly #host: Host<GraphShell>

  constructor(options: ClientOptions, environment: Environment) {
    this.#options = options
    this.#environment = environment
    const source = options.persist as DeviceSource | undefined
    this.#proposedId = source?.proposeClientId() ?? uuidV7(environment.now())
    this.#id = this.#proposedId
    this.#host = this.#makeHost(source !== undefined)
    this.#connection = new Connection({
      url: () => this.#address(),
      token: options.token,
      codec: options.codec ?? json,
      environment,
      listeners: {
        opened: (welcome) => this.#opened(welcome),
        closed: () => this.#lost(),
        frame: (frame) => this.#take(frame),
        changed: () => this.#each((graph) => graph.refresh()),
        seen: (direction, frame) => this.#recorder.frame(environment.now(), direction, frame),
      },
    })
    this.#stopListening = environment.onChange((event) => {
      if (event === 'wake') this.#each((graph) => graph.wake())
    })
    this.#loading = source === undefined ? Promise.resolve() : this.#openDevice(source)
    void this.#loading.then(() => {
      if (!this.#isClosed) this.#connection.start()
    })
  }

  get clientId(): string {
    return this.#id
  }

  graph(id: string): Graph {
    const graph = this.#open(id)
    graph.holders += 1
    // Not at once: it may be asked for while a page is drawn.
    if (graph.machine.phase === 'refused') void this.#loading.then(() => this.#followAgain(graph))
    return graph
  }

  inspect(): AsyncIterableIterator<Inspected> {
    return this.#recorder.watch()
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#stopAdopting()
    this.#stopListening()
    this.#connection.close()
    this.#each((graph) => graph.end())
    this.#graphs.clear()
    this.#releasePage?.()
    await this.#loading
    await this.#device?.close()
  }

  async forget(): Promise<void> {
    await this.close()
    await (this.#options.persist as DeviceSource | undefined)?.forget()
  }

  // --- Graphs ----------------------------------------------------------------------------------

  #open(id: string): GraphShell {
    if (this.#isClosed) throw new Error('this client is closed')
    const known = this.#graphs.get(id)
    if (known !== undefined) return known
    const graph = new GraphShell(id, this.#host)
    this.#graphs.set(id, graph)
    void this.#loading.then(() => this.#begin(graph))
    return graph
  }

  /** Shows what the device keeps, then follows (rule P4). */
  async #begin(graph: GraphShell): Promise<void> {
    if (this.#device !== null) {
      const stored = await this.#device.load(graph.id).catch(() => null)
      if (stored !== null) graph.step({ type: 'loaded', stored })
    }
    graph.isLoaded = true
    if (this.#welcome !== null && this.#graphs.get(graph.id) === graph) this.#follow(graph, this.#welcome)
    this.#settleDown(graph)
  }

  #follow(graph: GraphShell, welcome: Welcome): void {
    if (graph.isLoaded) graph.step({ type: 'connected', limits: welcome.limits })
  }

  /** Another holder, or edits, kept one that may not be followed: whoever asks for it has the server asked once more. */
  #followAgain(graph: GraphShell): void {
    const isKept = this.#graphs.get(graph.id) === graph
    if (isKept && graph.machine.phase === 'refused' && this.#welcome !== null) this.#follow(graph, this.#welcome)
  }

  /** A graph that nobody holds is followed until its queue is empty. */
  #settleDown(graph: GraphShell): void {
    if (graph.holders > 0 || !graph.isIdle || !graph.isLoaded || this.#graphs.get(graph.id) !== graph) return
    this.#graphs.delete(graph.id)
    this.#connection.send({ type: 'UNSUBSCRIBE', graphId: graph.id })
    graph.end()
  }

  #each(visit: (graph: GraphShell) => void): void {
    for (const graph of [...this.#graphs.values()]) visit(graph)
  }

  #makeHost(isKept: boolean): Host<GraphShell> {
    return {
      environment: this.#environment,
      isKept,
      untold: new Map(),
      clientId: () => this.#id,
      connection: () => this.#link(),
      send: (frame: JsonObject) => this.#connection.send(frame),
      reconnect: () => this.#connection.reconnect(),
      proven: () => this.#connection.proven(),
      write: (graphId, changes) => this.#write(graphId, changes),
      isDurable: () => this.#device?.isDurable ?? false,
      closed: (graph) => this.#settleDown(graph),
      changed: (graph) => {
        this.#settleDown(graph)
        this.#guardPage()
      },
      inspect: (graphId, input, effects) => this.#recorder.step(this.#environment.now(), graphId, input, effects),
    }
  }

  // --- Connection ------------------------------------------------------------------------------

  #address(): string {
    const url = new URL(this.#options.url)
    url.searchParams.set('clientId', this.#id)
    return url.href
  }

  #link(): Status['connection'] {
    switch (this.#connection.state) {
      case 'open':
        return 'live'
      case 'needs-auth':
        return 'needs-auth'
      case 'closed':
        return 'closed'
      case 'connecting':
      case 'waiting':
        return 'connecting'
    }
  }

  #opened(welcome: Welcome): void {
    this.#welcome = welcome
    this.#behind.clear()
    this.#each((graph) => this.#follow(graph, welcome))
  }

  #lost(): void {
    this.#welcome = null
    this.#each((graph) => graph.disconnected())
  }

  #take(frame: ServerFrame): void {
    if (frame.type === 'PONG') this.#compare(frame.versions)
    else if ('graphId' in frame && frame.graphId !== undefined)
      this.#graphs.get(frame.graphId)?.frame(frame as GraphFrame)
    else if (frame.type === 'ERROR') this.#each((graph) => graph.frame(frame))
  }

  /** Frames that never came would be missed for good: the versions of a `PONG` tell (rule A12). */
  #compare(versions: { readonly [graphId: string]: number }): void {
    for (const [graphId, version] of Object.entries(versions)) {
      const point = this.#graphs.get(graphId)?.machine.point
      if (point === null || point === undefined || point.version >= version) {
        this.#behind.delete(graphId)
        continue
      }
      const known = this.#behind.get(graphId)
      const now = this.#environment.now()
      if (known?.version !== point.version) this.#behind.set(graphId, { version: point.version, since: now })
      else if (now - known.since > BEHIND_MAX) this.#connection.reconnect()
    }
  }

  // --- Device ----------------------------------------------------------------------------------

  async #openDevice(source: DeviceSource): Promise<void> {
    const opening = source.open(this.#id).catch(() => null)
    let isLate = false
    const patience = new Promise<null>((resolve) => {
      const stop = this.#environment.after(DEVICE_PATIENCE, () => {
        isLate = true
        resolve(null)
      })
      void opening.then(stop)
    })
    void opening.then((device) => (isLate ? device?.close() : undefined))
    this.#device = await Promise.race([opening, patience])
    // Without a device it is not known whether another tab has the proposed id.
    this.#id = this.#device?.clientId ?? uuidV7(this.#environment.now())
    this.#each((graph) => graph.machine.rename(this.#id))
    if (this.#device !== null) this.#device.onWake = (afterMs) => this.#lookIn(afterMs)
    this.#look()
  }

  async #write(graphId: string, changes: readonly Change[]): Promise<void> {
    // Later ones of the proposed client are those of another tab, taken over.
    const isEarly = this.#device === null
    await this.#loading
    if (this.#device === null) throw new Error('there is no device')
    await this.#device.write(graphId, isEarly ? changes.map((change) => this.#renamed(change)) : changes)
  }

  /** What was made before it was known that another tab has the proposed id. */
  #renamed(change: Change): Change {
    if (!('operation' in change) || change.operation.clientId !== this.#proposedId) return change
    return { ...change, operation: { ...change.operation, clientId: this.#id } }
  }

  /** Takes up the queues of this client and of clients that are gone, also of graphs that nobody holds here. */
  async #adopt(): Promise<void> {
    if (this.#isClosed || this.#device === null) return
    const orphans = await this.#device.adopt().catch(() => [])
    if (this.#isClosed) return
    for (const { graphId, operations } of orphans) {
      const graph = this.#open(graphId)
      if (operations.length > 0) graph.step({ type: 'adopted', operations })
    }
    this.#stopAdopting()
    this.#stopAdopting = this.#lookIn(ADOPT_EVERY)
  }

  #look(): void {
    this.#looked = this.#looked.then(() => this.#adopt())
  }

  /** Another look for queues after this time. Those that are due anyway are not put off by it. */
  #lookIn(ms: number): () => void {
    return this.#environment.after(ms, () => this.#look())
  }

  /** The page is not left unasked while something would be lost with it (rule A14). */
  #guardPage(): void {
    const isSafe = [...this.#graphs.values()].every((graph) => graph.status.persisted)
    if (isSafe) {
      this.#releasePage?.()
      this.#releasePage = null
    } else this.#releasePage ??= this.#environment.holdPage()
  }
}
