/**
 * A window over a history that may be long (K3): pages of 200 in both directions, of which only those that are looked at
 * are held. A page that was dropped is asked for again by the cursor that led to it. The newest has no cursor: new commits
 * would come between it and the next, so it's never dropped. Of a dropped row its brief stays, so that the rows around
 * it keep their places.
 *
 * Pages are numbered from 0, the newest. Not here: drawing (history.tsx), filters.
 */

export const PAGE = 200
/** Pages held at a time: the newest, what is shown, and one on each side. More only while more are shown. */
export const PAGES_MAX = 5
/** Pages asked for in one step: what fits a filter may be far away, and the user says whether to look for it. */
export const STEP_MAX = 10

export interface Page<T> {
  readonly rows: readonly T[]
  readonly nextCursor: string | null
}

export type Ask<T> = (cursor: string | null, limit: number, signal?: AbortSignal) => Promise<Page<T>>

interface Slot<T, B> {
  readonly cursor: string | null
  rows: readonly T[] | null
  /** One for each row, also of a page that was dropped. */
  briefs: readonly B[]
  used: number
}

export class HistoryWindow<T, B = undefined> {
  readonly #ask: Ask<T>
  readonly #briefOf: (row: T) => B
  readonly #slots: Slot<T, B>[] = []
  #next: string | null = null
  #begun = false
  #clock = 0
  #running: Promise<void> | null = null

  constructor(ask: Ask<T>, briefOf: (row: T) => B) {
    this.#ask = ask
    this.#briefOf = briefOf
  }

  /** Rows that are known to be there; more may follow. */
  get count(): number {
    return this.#slots.reduce((sum, { briefs }) => sum + briefs.length, 0)
  }

  /** Pages that were looked at, also those of which nothing fitted. */
  get pages(): number {
    return this.#slots.length
  }

  get hasMore(): boolean {
    return !this.#begun || this.#next !== null
  }

  /** Rows held at the moment. */
  get held(): number {
    return this.#slots.reduce((sum, { rows }) => sum + (rows?.length ?? 0), 0)
  }

  /** The row at an index; `undefined` if its page is not held. */
  row(index: number): T | undefined {
    return this.#at(index, ({ rows }) => rows)
  }

  /** What is kept of the row at an index. */
  brief(index: number): B | undefined {
    return this.#at(index, ({ briefs }) => briefs)
  }

  #at<V>(index: number, of: (slot: Slot<T, B>) => readonly V[] | null): V | undefined {
    let begin = 0
    for (const slot of this.#slots) {
      const { length } = slot.briefs
      if (index < begin + length) return of(slot)?.[index - begin]
      begin += length
    }
    return undefined
  }

  /**
   * Makes sure that these rows are held, and asks for the next page if they reach the end: one page a call, one request
   * at a time. Returns whether a page came; then there may be more to do.
   */
  async want(from: number, to: number, signal?: AbortSignal): Promise<boolean> {
    // A failure belongs to the call that asked.
    while (this.#running !== null) await this.#running.catch(() => undefined)
    if (signal?.aborted) return false
    const step = this.#step(from, to, signal)
    if (step === null) return false
    this.#running = step.finally(() => {
      this.#running = null
    })
    await this.#running
    return true
  }

  /** {@link want}, until nothing is missing, `isOver`, or {@link STEP_MAX} pages came. Returns whether it is done. */
  async wantAll(
    from: number,
    to: number,
    { signal, isOver, came }: { signal?: AbortSignal; isOver?: () => boolean; came?: () => void } = {},
  ): Promise<boolean> {
    for (let pages = 0; pages < STEP_MAX; pages++) {
      if (isOver?.() || !(await this.want(from, to, signal))) return true
      came?.()
    }
    return false
  }

  #step(from: number, to: number, signal: AbortSignal | undefined): Promise<void> | null {
    this.#clock += 1
    let [begin, missing] = [0, null as Slot<T, B> | null]
    for (const slot of this.#slots) {
      const { length } = slot.briefs
      if (begin <= to && begin + length > from) {
        slot.used = this.#clock
        if (slot.rows === null) missing ??= slot
      }
      begin += length
    }
    if (missing !== null) return this.#fill(missing, signal)
    return to >= begin - 1 && this.hasMore ? this.#grow(signal) : null
  }

  async #fill(slot: Slot<T, B>, signal: AbortSignal | undefined): Promise<void> {
    const page = await this.#ask(slot.cursor, PAGE, signal)
    slot.rows = page.rows
    slot.briefs = page.rows.map(this.#briefOf)
    const after = this.#slots.indexOf(slot) + 1
    const followed = after < this.#slots.length ? this.#slots[after]!.cursor : this.#next
    // It ends elsewhere than it did: what was known behind it may not follow it.
    if (page.nextCursor !== followed) {
      this.#slots.length = after
      this.#next = page.nextCursor
    }
    this.#drop()
  }

  async #grow(signal: AbortSignal | undefined): Promise<void> {
    const cursor = this.#next
    const { rows, nextCursor } = await this.#ask(cursor, PAGE, signal)
    this.#begun = true
    this.#next = nextCursor
    this.#slots.push({ cursor, rows, briefs: rows.map(this.#briefOf), used: this.#clock })
    this.#drop()
  }

  /** Never the newest page, nor one that is wanted now: it would be asked for again at once. */
  #drop(): void {
    const [, ...others] = this.#slots
    const held = others.filter(({ rows }) => rows !== null && rows.length > 0).sort((a, b) => b.used - a.used)
    for (const slot of held.slice(PAGES_MAX - 1)) if (slot.used !== this.#clock) slot.rows = null
  }
}
