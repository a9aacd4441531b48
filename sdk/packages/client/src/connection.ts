/**
 * One WebSocket at a time: opening, proving who asks, staying alive, coming back (rule A12).
 *
 * It knows nothing of graphs. Each socket is a generation: what a superseded one still says is passed over.
 */

import type { Codec, JsonObject } from './api.ts'
import type { Environment, Socket } from './environment.ts'
import type { ServerFrame, Welcome } from './machine/frames.ts'

/** Between attempts, milliseconds; each waits a random part of it. */
const BACKOFF_MIN = 500
const BACKOFF_MAX = 30_000
const BACKOFF_HIDDEN_MAX = 300_000
/** How long an answer to a `PING` may take. Milliseconds. */
const PONG_PATIENCE = 10_000
/** How long opening a connection may take, with the token and its proof. Milliseconds. */
const OPEN_PATIENCE = 20_000
/** The close code of a missing or bad token (rule O1). */
const UNAUTHENTICATED = 4401
/** What is left of a token's life when it is renewed. */
const RENEW_AT = 0.8
/** Before a token that could not be got is asked for again, and between renewals at least. Milliseconds. */
const RENEW_AGAIN = 5_000
/** A longer timer would end at once. Milliseconds. */
const TIMER_MAX = 2 ** 31 - 1

export type LinkState = 'connecting' | 'open' | 'waiting' | 'needs-auth' | 'closed'

export interface Listeners {
  opened(welcome: Welcome): void
  closed(): void
  frame(frame: ServerFrame): void
  changed(): void
  /** Every frame, for who inspects it. */
  seen(direction: 'in' | 'out', frame: unknown): void
}

export interface ConnectionOptions {
  readonly url: () => string
  readonly token?: (() => string | Promise<string>) | undefined
  readonly codec: Codec
  readonly environment: Environment
  readonly listeners: Listeners
}

export class Connection {
  state: LinkState = 'waiting'
  readonly #options: ConnectionOptions
  #socket: Socket | null = null
  #welcome: Welcome | null = null
  #isOpen = false
  #attempts = 0
  #authFailures = 0
  readonly #stops = new Map<string, () => void>()
  #stopListening: () => void = () => {}
  #lastFrameAt = 0
  /** How far this clock is ahead of the server's. Milliseconds. */
  #clockAhead = 0
  #nextDelay: number | null = null
  /** The attempt that waits for a token. */
  #opening: object = {}

  constructor(options: ConnectionOptions) {
    this.#options = options
  }

  start(): void {
    this.#stopListening = this.#options.environment.onChange((event) => {
      if (event === 'wake') this.#wake()
      else this.#drop()
    })
    void this.#open()
  }

  /** Ends it for good. */
  close(): void {
    this.#stopListening()
    this.#abandon()
    this.#become('closed')
  }

  /** Sends a frame, if there is a connection. */
  send(frame: JsonObject): void {
    if (this.#socket === null || !this.#isOpen) return
    this.#write(frame)
  }

  /** The connection is of use: the next break starts with short delays again. */
  proven(): void {
    this.#attempts = 0
    this.#authFailures = 0
  }

  /** What came does not fit: a new connection, soon. */
  reconnect(): void {
    this.#broken(null)
  }

  #write(frame: JsonObject): void {
    this.#options.listeners.seen('out', frame)
    this.#socket?.send(this.#options.codec.encode(frame))
  }

  async #open(): Promise<void> {
    const { environment, token, codec, url } = this.#options
    if (this.state === 'closed') return
    this.#abandon()
    if (this.state !== 'needs-auth') this.#become('connecting')
    this.#timer('patience', OPEN_PATIENCE, () => this.#broken(null))
    let proof: string | null = null
    if (token !== undefined) {
      const attempt = {}
      this.#opening = attempt
      try {
        proof = await token()
      } catch {
        if (this.#opening === attempt) this.#broken(null)
        return
      }
      if (this.#opening !== attempt) return
    }
    let socket: Socket
    try {
      socket = environment.connect(url(), codec.protocol)
    } catch {
      this.#broken(null)
      return
    }
    socket.binaryType = 'arraybuffer'
    this.#socket = socket
    const isCurrent = (): boolean => this.#socket === socket
    socket.onopen = () => {
      if (isCurrent() && proof !== null) this.#write({ type: 'AUTH', token: proof })
    }
    socket.onmessage = ({ data }) => {
      if (isCurrent()) this.#take(data, proof !== null)
    }
    socket.onclose = ({ code }) => {
      if (isCurrent()) this.#broken(code)
    }
    socket.onerror = () => {}
  }

  #take(data: unknown, isProofSent: boolean): void {
    let frame: ServerFrame
    try {
      frame = this.#options.codec.decode(data) as unknown as ServerFrame
    } catch {
      this.#broken(null)
      return
    }
    this.#lastFrameAt = this.#options.environment.now()
    this.#options.listeners.seen('in', frame)
    switch (frame.type) {
      case 'WELCOME':
        this.#welcome = frame
        this.#clockAhead = this.#lastFrameAt - frame.serverTime
        if (!isProofSent) this.#ready(frame)
        return
      case 'AUTHENTICATED':
        if (frame.expiresAt !== null && isProofSent) this.#renewLater(frame.expiresAt)
        if (this.#welcome !== null && !this.#isOpen) this.#ready(this.#welcome)
        return
      case 'GOODBYE':
        this.#nextDelay = frame.reconnectAfterMs * (1 + this.#options.environment.random())
        return
      default:
        this.#options.listeners.frame(frame)
    }
  }

  #ready(welcome: Welcome): void {
    this.#isOpen = true
    this.#stop('patience')
    this.#become('open')
    this.#ping(welcome.heartbeatMs / 2)
    this.#options.listeners.opened(welcome)
  }

  /** JavaScript does not see the server's own pings. A late timer is no sign of a dead server: the page was suspended. */
  #ping(delayMs: number): void {
    const { environment } = this.#options
    const everyMs = (this.#welcome?.heartbeatMs ?? PONG_PATIENCE * 2) / 2
    this.#timer('ping', delayMs, () => {
      const sentAt = environment.now()
      this.send({ type: 'PING' })
      this.#ping(everyMs)
      // The answer to an earlier one is still waited for.
      if (this.#stops.has('pong')) return
      this.#timer('pong', PONG_PATIENCE, () => {
        if (this.#lastFrameAt >= sentAt) return
        if (environment.now() - sentAt > PONG_PATIENCE * 1.5) this.#ping(0)
        else this.#broken(null)
      })
    })
  }

  #renewLater(expiresAt: number): void {
    const left = expiresAt + this.#clockAhead - this.#options.environment.now()
    const wait = Math.min(TIMER_MAX, Math.max(RENEW_AGAIN, left * RENEW_AT))
    this.#timer('renew', wait, () => void this.#renew())
  }

  async #renew(): Promise<void> {
    const socket = this.#socket
    try {
      const token = (await this.#options.token?.()) ?? ''
      if (this.#socket === socket && socket !== null) this.#write({ type: 'AUTH', token })
    } catch {
      if (this.#socket === socket) this.#timer('renew', RENEW_AGAIN, () => void this.#renew())
    }
  }

  /** The connection ended. Waits, longer each time, and opens another. */
  #broken(code: number | null): void {
    if (this.state === 'closed') return
    const { environment } = this.#options
    const isRefused = code === UNAUTHENTICATED
    this.#abandon()
    if (isRefused) this.#authFailures += 1
    this.#become(
      isRefused && this.#authFailures > 1 ? 'needs-auth' : this.state === 'needs-auth' ? this.state : 'waiting',
    )
    let delay = this.#nextDelay
    this.#nextDelay = null
    if (isRefused && this.#authFailures === 1) delay = 0
    if (delay === null) {
      const max = environment.isVisible() ? BACKOFF_MAX : BACKOFF_HIDDEN_MAX
      delay = environment.random() * Math.min(max, BACKOFF_MIN * 2 ** Math.min(this.#attempts, 20))
      this.#attempts += 1
    }
    this.#timer('open', delay, () => void this.#open())
  }

  /** The network or the page is back: no reason to wait any longer. */
  #wake(): void {
    if (this.#stops.has('open')) void this.#open()
    else if (this.#isOpen && this.#welcome !== null) this.#ping(0)
    else if (this.#socket === null && this.state === 'waiting') void this.#open()
  }

  /** The page is about to be suspended: the server should not hold what nobody reads. */
  #drop(): void {
    this.#abandon()
    this.#become('waiting')
  }

  #abandon(): void {
    for (const stop of this.#stops.values()) stop()
    this.#stops.clear()
    this.#opening = {}
    const socket = this.#socket
    const wasOpen = this.#isOpen
    this.#socket = null
    this.#welcome = null
    this.#isOpen = false
    if (socket !== null) {
      socket.onclose = null
      socket.onmessage = null
      try {
        socket.close()
      } catch {
        // It never opened.
      }
    }
    if (wasOpen) this.#options.listeners.closed()
  }

  #become(state: LinkState): void {
    if (this.state === state) return
    this.state = state
    this.#options.listeners.changed()
  }

  #timer(name: string, ms: number, then: () => void): void {
    this.#stop(name)
    const stop = this.#options.environment.after(ms, () => {
      this.#stops.delete(name)
      then()
    })
    this.#stops.set(name, stop)
  }

  #stop(name: string): void {
    this.#stops.get(name)?.()
    this.#stops.delete(name)
  }
}
