/**
 * A server in memory, for tests of editors: no network, no process, no waiting. It judges commands as the real one does.
 *
 * ```ts
 * import { testServer } from '@dao-api/client/testing'
 *
 * const server = testServer()
 * const [ada, bob] = [server.client('ada').graph('g'), server.client('bob').graph('g')]
 * ada.createNode({ id: 'a' })
 * await server.quiet()
 * bob.node('a') // { id: 'a', position: { x: 0, y: 0 } }
 * ```
 *
 * Left out are tokens, rights, limits and what concerns many graphs at once.
 */

import type { Client, JsonObject, Persistence } from './api.ts'
import { ClientShell } from './client.ts'
import type { Environment, Socket } from './environment.ts'
import { provideUndo } from './machine/predict.ts'
import { decideUndo, type StateJson, toState } from './model/index.ts'
import { type Frame, ModelServer, type Session } from './testing/server.ts'

/** How long outcomes are remembered. Milliseconds. */
const OPERATION_TTL = 86_400_000

export interface TestClientOptions {
  readonly persist?: Persistence
}

export interface TestServer {
  /** A new client of a user, connected at once. */
  client(userId: string, options?: TestClientOptions): Client
  /** Resolves when nothing is on its way any more, and every picture is drawn. */
  quiet(): Promise<void>
  /** Ends all connections, and lets no new one in until {@link TestServer.restore}. What is edited meanwhile waits. */
  cut(): void
  /** Connections are possible again; clients come back at once. */
  restore(): void
  /** The next commands are refused for now, as by a server that is busy; clients send them again. */
  refuseForNow(count: number): void
  /** The history of a graph ends at this version, as after a restored backup. */
  replaceHistory(graphId: string, version: number): void
  /** The graph as `GET /graphs/{id}/state` has it. */
  state(graphId: string): StateJson & { readonly version: number }
}

/** Starts one. There is nothing to stop but its clients. */
export function testServer(): TestServer {
  provideUndo(decideUndo)
  return new MemoryServer()
}

class MemoryServer implements TestServer {
  readonly #graphs = new Map<string, ModelServer>()
  readonly #wires = new Set<Wire>()
  readonly #wakers = new Set<() => void>()
  readonly #frames = new Set<() => void>()
  #isCut = false
  #refusals = 0

  client(userId: string, { persist }: TestClientOptions = {}): Client {
    const url = `ws://test/ws?userId=${encodeURIComponent(userId)}`
    return new ClientShell(persist === undefined ? { url } : { url, persist }, this.#environment())
  }

  async quiet(): Promise<void> {
    for (let calm = 0; calm < 3; ) {
      await new Promise((resolve) => setTimeout(resolve))
      const isBusy = [...this.#wires].some((wire) => wire.isBusy) || this.#frames.size > 0
      for (const draw of [...this.#frames]) draw()
      calm = isBusy ? 0 : calm + 1
    }
  }

  cut(): void {
    this.#isCut = true
    for (const wire of [...this.#wires]) wire.end()
  }

  restore(): void {
    this.#isCut = false
    for (const wake of this.#wakers) wake()
  }

  refuseForNow(count: number): void {
    this.#refusals = count
    for (const graph of this.#graphs.values()) graph.temporaryRefusals = count
  }

  replaceHistory(graphId: string, version: number): void {
    this.graph(graphId).replaceHistory(version)
    this.deliver()
  }

  state(graphId: string): StateJson & { readonly version: number } {
    const graph = this.graph(graphId)
    const { places: _, ...state } = toState(graph.state)
    return { ...state, version: graph.version }
  }

  graph(graphId: string): ModelServer {
    let graph = this.#graphs.get(graphId)
    if (graph === undefined) {
      graph = new ModelServer(OPERATION_TTL, {}, graphId)
      graph.temporaryRefusals = this.#refusals
      this.#graphs.set(graphId, graph)
    }
    graph.now = Date.now()
    return graph
  }

  /** Sends what the graphs have for each connection. */
  deliver(): void {
    for (const wire of this.#wires) wire.flush()
  }

  /** Passes a presence on to the others that follow the graph. */
  show(from: Wire, frame: JsonObject): void {
    for (const wire of this.#wires) {
      if (wire === from || !wire.follows(frame.graphId as string)) continue
      wire.say({ ...frame, type: 'PRESENCE', userId: from.userId })
    }
  }

  /** A new follower gets the presences that are there. */
  introduce(to: Wire, graphId: string): void {
    for (const wire of this.#wires) if (wire !== to) wire.introduce(to, graphId)
  }

  joined(wire: Wire): void {
    if (this.#isCut) wire.end()
    else this.#wires.add(wire)
  }

  left(wire: Wire): void {
    this.#wires.delete(wire)
  }

  #environment(): Environment {
    return {
      now: () => Date.now(),
      // No delay between attempts: a test waits for nothing.
      random: () => 0,
      after: (ms, then) => {
        const timer = setTimeout(then, ms)
        return () => clearTimeout(timer)
      },
      onFrame: (then) => {
        const once = (): void => {
          this.#frames.delete(once)
          then()
        }
        this.#frames.add(once)
        setTimeout(() => this.#frames.has(once) && once())
        return () => this.#frames.delete(once)
      },
      isVisible: () => true,
      onChange: (listener) => {
        const wake = (): void => listener('wake')
        this.#wakers.add(wake)
        return () => this.#wakers.delete(wake)
      },
      holdPage: () => () => {},
      connect: (url) => new Wire(this, new URL(url)),
    }
  }
}

/** A connection: what each side says arrives a moment later, in order. */
class Wire implements Socket {
  binaryType = ''
  onopen: ((event: never) => void) | null = null
  onmessage: ((event: { data: unknown }) => void) | null = null
  onclose: ((event: { code: number }) => void) | null = null
  onerror: ((event: never) => void) | null = null
  readonly userId: string
  readonly #clientId: string
  readonly #server: MemoryServer
  readonly #sessions = new Map<string, Session>()
  readonly #shown = new Map<string, JsonObject>()
  #waiting = 0
  #isOpen = true

  constructor(server: MemoryServer, url: URL) {
    this.#server = server
    this.userId = url.searchParams.get('userId') ?? 'anonymous'
    this.#clientId = url.searchParams.get('clientId') ?? this.userId
    this.#soon(() => {
      server.joined(this)
      this.onopen?.(undefined as never)
      const limits = { messageBytes: 8 << 20, operationTtlMs: OPERATION_TTL }
      this.say({ type: 'WELCOME', connectionId: this.#clientId, heartbeatMs: 30_000, serverTime: Date.now(), limits })
    })
  }

  get isBusy(): boolean {
    return this.#waiting > 0
  }

  send(data: string | Uint8Array): void {
    const frame = JSON.parse(data as string) as Frame
    this.#soon(() => this.#take(frame))
  }

  /** The client ends it. */
  close(): void {
    this.#isOpen = false
    this.#server.left(this)
    for (const [graphId, session] of this.#sessions) this.#server.graph(graphId).disconnect(session)
    for (const frame of this.#shown.values()) this.#server.show(this, { ...frame, state: null })
  }

  /** The network ends it. */
  end(): void {
    if (!this.#isOpen) return
    this.close()
    setTimeout(() => this.onclose?.({ code: 1006 }))
  }

  follows(graphId: string): boolean {
    return this.#sessions.get(graphId)?.isFollowing === true
  }

  say(frame: JsonObject): void {
    this.#soon(() => this.onmessage?.({ data: JSON.stringify(frame) }))
  }

  flush(): void {
    for (const session of this.#sessions.values()) for (const frame of session.out.splice(0)) this.say(frame)
  }

  #soon(then: () => void): void {
    this.#waiting += 1
    setTimeout(() => {
      this.#waiting -= 1
      if (this.#isOpen) then()
    })
  }

  #take(frame: Frame): void {
    const graphId = frame.graphId as string
    switch (frame.type) {
      case 'PING':
        this.say({ type: 'PONG', versions: {} })
        return
      case 'UNSUBSCRIBE':
        this.#leave(graphId)
        return
      case 'PRESENCE': {
        const { slot = '' } = frame
        if (frame.state === null) this.#shown.delete(`${graphId} ${slot}`)
        else this.#shown.set(`${graphId} ${slot}`, frame)
        this.#server.show(this, frame)
        return
      }
      default: {
        const graph = this.#server.graph(graphId)
        let session = this.#sessions.get(graphId)
        if (session === undefined) {
          session = graph.connect(this.userId)
          this.#sessions.set(graphId, session)
        }
        graph.receive(session, frame)
        this.#server.deliver()
        if (frame.type === 'SUBSCRIBE') this.#server.introduce(this, graphId)
      }
    }
  }

  /** Tells who is there already. */
  introduce(to: Wire, graphId: string): void {
    for (const frame of this.#shown.values()) {
      if (frame.graphId === graphId) to.say({ ...frame, type: 'PRESENCE', userId: this.userId })
    }
  }

  #leave(graphId: string): void {
    const session = this.#sessions.get(graphId)
    if (session !== undefined) this.#server.graph(graphId).disconnect(session)
    this.#sessions.delete(graphId)
  }
}
