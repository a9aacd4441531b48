/** Which client a tab is, and which clients are gone (rule P7). */

/** As much of the page as tabs need; parts that are missing are done without. */
export interface Page {
  /** Survives a reload of the tab, and is copied when the tab is duplicated. */
  readonly session: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'> | null
  readonly locks: LockManager | null
  /** Calls back when the page goes away, and when it comes back from where browsers keep pages. */
  onLeave(leave: () => void, back: () => void): () => void
  /** Reaches the other tabs; `null` where there is none. */
  channel(name: string): Channel | null
}

/** As much of a `BroadcastChannel` as is used. */
export type Channel = Pick<BroadcastChannel, 'onmessage' | 'postMessage' | 'close'>

export function page(): Page {
  const has = typeof document !== 'undefined'
  return {
    session: sessionOf(),
    locks: typeof navigator === 'undefined' ? null : ((navigator.locks as LockManager | undefined) ?? null),
    onLeave: (leave, back) => {
      if (!has) return () => {}
      addEventListener('pagehide', leave)
      addEventListener('pageshow', back)
      return () => {
        removeEventListener('pagehide', leave)
        removeEventListener('pageshow', back)
      }
    },
    channel: (name) => (has && typeof BroadcastChannel !== 'undefined' ? new BroadcastChannel(name) : null),
  }
}

function sessionOf(): Storage | null {
  try {
    return typeof document === 'undefined' ? null : sessionStorage
  } catch {
    return null
  }
}

/** A lock that is held until it is let go. */
export interface Held {
  release(): void
}

/** Takes the lock if nobody has it; `null` if somebody has. Without locks nobody has. */
export function tryLock(locks: LockManager | null, name: string): Promise<Held | null> {
  if (locks === null) return Promise.resolve({ release: () => {} })
  return new Promise((resolve, reject) => {
    const held = (lock: Lock | null): Promise<void> | void => {
      if (lock === null) {
        resolve(null)
        return
      }
      return new Promise((release) => resolve({ release }))
    }
    locks.request(name, { ifAvailable: true }, held).catch(reject)
  })
}

/** The id of this tab over a reload. While the page lives it is not in the session, so a duplicate has another one. */
export class TabId {
  readonly #key: string
  readonly #page: Page
  #stop: () => void = () => {}

  constructor(name: string, page: Page) {
    this.#key = `dao-client:${name}`
    this.#page = page
  }

  /** The id that the tab had before. */
  take(): string | null {
    const id = this.#page.session?.getItem(this.#key) ?? null
    this.#page.session?.removeItem(this.#key)
    return id
  }

  /** From now on the tab has this one. */
  keep(id: string): void {
    this.#stop()
    this.#stop = this.#page.onLeave(
      () => this.#page.session?.setItem(this.#key, id),
      () => this.#page.session?.removeItem(this.#key),
    )
  }

  forget(): void {
    this.#stop()
    this.#page.session?.removeItem(this.#key)
  }
}
