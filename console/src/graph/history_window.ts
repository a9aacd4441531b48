/**
 * A window over a history that may be long (K3): pages of 200 in both directions, of which only those that are looked at
 * are held. A page that was dropped is asked for again by the cursor that led to it.
 *
 * Pages are numbered from 0, the newest. Not here: drawing (history.tsx), filters.
 */

export const PAGE = 200
/** Pages held at a time: what is shown, and one on each side. */
export const PAGES_MAX = 4

export interface Page<T> {
  readonly rows: readonly T[]
  readonly nextCursor: string | null
}

export type Ask<T> = (cursor: string | null, limit: number) => Promise<Page<T>>

interface Slot<T> {
  readonly cursor: string | null
  /** Known once the page was there. */
  count: number
  rows: readonly T[] | null
  used: number
}

export class HistoryWindow<T> {
  readonly #ask: Ask<T>
  readonly #slots: Slot<T>[] = []
  #next: string | null = null
  #begun = false
  #clock = 0
  #running: Promise<void> | null = null

  constructor(ask: Ask<T>) {
    this.#ask = ask
  }

  /** Rows that are known to be there; more may follow. */
  get count(): number {
    return this.#slots.reduce((sum, { count }) => sum + count, 0)
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
    let begin = 0
    for (const slot of this.#slots) {
      if (index < begin + slot.count) return slot.rows?.[index - begin]
      begin += slot.count
    }
    return undefined
  }

  /** Makes sure that these rows are held, and asks for the next page if they reach the end. One request at a time. */
  async want(from: number, to: number): Promise<boolean> {
    while (this.#running !== null) await this.#running
    const step = this.#step(from, to)
    if (step === null) return false
    this.#running = step.finally(() => {
      this.#running = null
    })
    await this.#running
    return true
  }

  #step(from: number, to: number): Promise<void> | null {
    this.#clock += 1
    let begin = 0
    for (const slot of this.#slots) {
      const isWanted = begin <= to && begin + slot.count > from
      if (isWanted) slot.used = this.#clock
      if (isWanted && slot.rows === null) return this.#fill(slot)
      begin += slot.count
    }
    return to >= begin - 1 && this.hasMore ? this.#grow() : null
  }

  async #fill(slot: Slot<T>): Promise<void> {
    const page = await this.#ask(slot.cursor, PAGE)
    slot.rows = page.rows
    slot.count = page.rows.length
    this.#drop()
  }

  async #grow(): Promise<void> {
    const cursor = this.#next
    const page = await this.#ask(cursor, PAGE)
    this.#begun = true
    this.#next = page.nextCursor
    this.#slots.push({ cursor, count: page.rows.length, rows: page.rows, used: this.#clock })
    this.#drop()
  }

  #drop(): void {
    const held = this.#slots.filter(({ rows }) => rows !== null).sort((a, b) => b.used - a.used)
    for (const slot of held.slice(PAGES_MAX)) slot.rows = null
  }
}
