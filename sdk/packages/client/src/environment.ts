/** What the shells take from the world around them. Tests give their own. */

import type { WebSocketClass } from './api.ts'

/** As much of a `WebSocket` as is used. */
export interface Socket {
  binaryType: string
  onopen: ((event: never) => void) | null
  onmessage: ((event: { data: unknown }) => void) | null
  onclose: ((event: { code: number }) => void) | null
  onerror: ((event: never) => void) | null
  send(data: string | Uint8Array<ArrayBuffer>): void
  close(): void
}

export interface Environment {
  /** Unix milliseconds. */
  now(): number
  /** A number from 0 to below 1. */
  random(): number
  /** Calls back after this many milliseconds; returns the way to prevent it. */
  after(ms: number, then: () => void): () => void
  /** Calls back before the next picture is drawn, or soon if none is; returns the way to prevent it. */
  onFrame(then: () => void): () => void
  isVisible(): boolean
  /**
   * `wake`: the network is back, or the page is seen again. `freeze`: the page is about to be suspended, or kept to go
   * back to.
   */
  onChange(listener: (event: 'wake' | 'freeze') => void): () => void
  /** Asks the user before the page is left, until the returned function is called. */
  holdPage(): () => void
  connect(url: string, protocol: string): Socket
}

/** Pictures are not drawn in hidden pages, so a timer runs beside. Milliseconds. */
const FRAME_MS_MAX = 100

/** The browser, or Node; with this class of WebSockets, if it is not the global one. */
export function surroundings(socketClass?: WebSocketClass): Environment {
  const page = typeof document === 'undefined' ? null : document
  const after = (ms: number, then: () => void): (() => void) => {
    const timer = setTimeout(then, ms)
    return () => clearTimeout(timer)
  }
  let hasComplained = false
  const noSockets = (): never => {
    const message = 'dao-api: there is no WebSocket here. Pass one: createClient({ WebSocket, … })'
    // A connection that can't be made is tried again: once is enough, and nobody else tells of it.
    // biome-ignore lint/suspicious/noConsole: see above
    if (!hasComplained) console.error(message)
    hasComplained = true
    throw new Error(message)
  }
  return {
    now: () => Date.now(),
    random: () => Math.random(),
    after,
    onFrame: (then) => {
      if (page === null || page.hidden || typeof requestAnimationFrame === 'undefined') return after(16, then)
      const once = (): void => {
        stop()
        then()
      }
      const frame = requestAnimationFrame(once)
      const late = after(FRAME_MS_MAX, once)
      const stop = (): void => {
        cancelAnimationFrame(frame)
        late()
      }
      return stop
    },
    isVisible: () => page === null || !page.hidden,
    onChange: (listener) => listenToPage(page, listener),
    holdPage: () => {
      if (typeof addEventListener === 'undefined' || page === null) return () => {}
      const ask = (event: BeforeUnloadEvent): void => event.preventDefault()
      addEventListener('beforeunload', ask)
      return () => removeEventListener('beforeunload', ask)
    },
    connect: (url, protocol) => new (socketClass ?? globalSockets() ?? noSockets())(url, [protocol]) as Socket,
  }
}

function globalSockets(): WebSocketClass | undefined {
  return typeof WebSocket === 'undefined' ? undefined : WebSocket
}

function listenToPage(page: Document | null, listener: (event: 'wake' | 'freeze') => void): () => void {
  if (page === null) return () => {}
  const stops: (() => void)[] = []
  const on = (target: EventTarget, name: string, then: (event: Event) => void): void => {
    target.addEventListener(name, then)
    stops.push(() => target.removeEventListener(name, then))
  }
  const view = globalThis as unknown as EventTarget
  on(view, 'online', () => listener('wake'))
  // A page is only kept to go back to if it has no connection.
  on(view, 'pagehide', (event) => {
    if ((event as PageTransitionEvent).persisted) listener('freeze')
  })
  on(view, 'pageshow', (event) => {
    if ((event as PageTransitionEvent).persisted) listener('wake')
  })
  on(page, 'visibilitychange', () => {
    if (!page.hidden) listener('wake')
  })
  on(page, 'resume', () => listener('wake'))
  on(page, 'freeze', () => listener('freeze'))
  return () => {
    for (const stop of stops) stop()
  }
}
