/** How the pages of a list are read and put together. Pure, but for the function that loads one. */
import type { ApiError } from './api.ts'

export interface Page<T> {
  readonly items: readonly T[]
  readonly nextCursor: string | null
}

/** Several pages, one after the other, as one. */
export interface Read<T> extends Page<T> {
  readonly pages: number
}

export interface Held<T> {
  readonly key: string
  readonly items: readonly T[]
  readonly cursor: string | null
  readonly pages: number
  readonly loading: boolean
  readonly error: ApiError | undefined
  readonly asOf: number | undefined
  /** The last page that was read was empty, and it is not the last one. */
  readonly dry: boolean
  /** The first page was empty: all rows are behind it. */
  readonly bare: boolean
}

type Load<T> = (cursor: string | null) => Promise<Page<T>>

/** A short page with a successor means that the server examined much and found little. */
export const MOST_EMPTY = 25
/** At most so many pages are read again; the others are loaded when they are scrolled to. */
const MOST_REREAD = 5

/** The page at `cursor`, and those after it while they are empty: so many that somebody has to ask for more. */
export async function readPage<T>(load: Load<T>, cursor: string | null): Promise<Read<T>> {
  let page = await load(cursor)
  for (let i = 0; i < MOST_EMPTY && page.items.length === 0 && page.nextCursor !== null; i++)
    page = await load(page.nextCursor)
  return { ...page, pages: 1 }
}

/** The first page; and those after it that are shown, if all are to be read again or rows are gone. */
export async function readAgain<T>(
  load: Load<T>,
  held: () => Held<T>,
  idOf: (item: T) => string,
  all: boolean,
): Promise<{ read: Read<T>; whole: boolean }> {
  let read = await readPage(load, null)
  const whole = all || isGone(held(), read, idOf)
  const count = whole ? Math.min(held().pages, MOST_REREAD) : 1
  while (read.pages < count && read.nextCursor !== null) {
    const next = await readPage(load, read.nextCursor)
    read = { items: [...read.items, ...next.items], nextCursor: next.nextCursor, pages: read.pages + 1 }
  }
  return { read, whole }
}

/** Where the last row of a page is among those that are held; -1 if it is not there. */
function placeOfLast<T>(held: Held<T>, { items }: Page<T>, idOf: (item: T) => string): number {
  const last = items.at(-1)
  return last === undefined ? -1 : held.items.findIndex((item) => idOf(item) === idOf(last))
}

/**
 * Whether rows are missing that were before the last row of the page: either they are gone, or that row has moved up past them.
 * Which one it was is not to be seen in one page.
 */
export function isGone<T>(held: Held<T>, page: Page<T>, idOf: (item: T) => string): boolean {
  const fresh = new Set(page.items.map(idOf))
  return held.items.slice(0, placeOfLast(held, page, idOf) + 1).some((item) => !fresh.has(idOf(item)))
}

const isDry = ({ items, nextCursor }: Page<unknown>): boolean => items.length === 0 && nextCursor !== null

/** The list with pages from its beginning: what is behind them stays, if they reach it. */
export function renewed<T>(held: Held<T>, read: Read<T>, idOf: (item: T) => string, key: string): Held<T> {
  const fresh = new Set(read.items.map(idOf))
  // If the last fresh row was not known, there may be others between it and what is known.
  const place = placeOfLast(held, read, idOf)
  const bare = read.items.length === 0
  const meets = bare ? held.bare : place !== -1
  const joins = held.key === key && held.pages > read.pages && meets && read.nextCursor !== null
  const behind = joins ? held.items.slice(place + 1).filter((item) => !fresh.has(idOf(item))) : []
  return {
    ...{ key, loading: false, error: undefined, asOf: Date.now(), bare },
    items: [...read.items, ...behind],
    cursor: joins ? held.cursor : read.nextCursor,
    dry: joins ? held.dry : isDry(read),
    pages: joins ? held.pages : read.pages,
  }
}

/** The list with the next page at its end. */
export function extended<T>(held: Held<T>, page: Page<T>, idOf: (item: T) => string): Held<T> {
  const fresh = new Set(page.items.map(idOf))
  return {
    ...held,
    ...{ loading: false, error: undefined, cursor: page.nextCursor, pages: held.pages + 1, dry: isDry(page) },
    items: [...held.items.filter((item) => !fresh.has(idOf(item))), ...page.items],
  }
}
