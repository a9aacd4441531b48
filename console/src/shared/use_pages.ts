/**
 * A list that comes in pages with cursors. Pages may be short or empty (A1): they are asked for until something comes or the end
 * is reached. The first page is renewed every `every` milliseconds while the tab is seen.
 */
import { useCallback, useEffect, useRef, useState } from 'react'
import type { ApiError } from './api.ts'
import { asApiError } from './use_load.ts'

export interface Page<T> {
  items: readonly T[]
  nextCursor: string | null
}

export interface Pages<T> {
  readonly items: readonly T[]
  /** Nothing was answered yet. */
  readonly first: boolean
  readonly loading: boolean
  /** There is more to load. */
  readonly more: boolean
  readonly error: ApiError | undefined
  /** When the first page came. */
  readonly asOf: number | undefined
  loadMore(): void
  /** From the beginning. */
  reload(): void
}

export interface PagesOptions<T> {
  /** Another key is another list. */
  key: string
  load(cursor: string | null, signal: AbortSignal): Promise<Page<T>>
  idOf(item: T): string
  every?: number
  when?: boolean
}

interface Held<T> {
  key: string
  items: readonly T[]
  cursor: string | null
  pages: number
  loading: boolean
  error: ApiError | undefined
  asOf: number | undefined
}

/** A short page with a successor means that the server examined much and found little. */
const MOST_EMPTY = 25
/** After a write, at most so many pages are read again; the others are loaded when they are scrolled to. */
const MOST_REREAD = 5

export function usePages<T>(options: PagesOptions<T>): Pages<T> {
  const { key, every, when = true } = options
  const empty: Held<T> = { key, items: [], cursor: null, pages: 0, loading: true, error: undefined, asOf: undefined }
  const [held, setHeld] = useState(empty)
  const [round, setRound] = useState(0)
  const latest = useRef(options)
  latest.current = options
  const now = useRef(held)
  now.current = held
  const busy = useRef<AbortController | null>(null)
  /** All pages that are shown are to be read again, not only the first. */
  const reread = useRef(false)
  /** More was asked for while something else was loading. */
  const wanted = useRef(false)

  const change = useCallback((next: Held<T>): void => {
    now.current = next
    setHeld(next)
  }, [])

  const run = useCallback(
    async (cursor: string | null, signal: AbortSignal, of: string): Promise<void> => {
      if (now.current.key === of) change({ ...now.current, loading: true })
      try {
        const all = cursor === null && reread.current
        const count = all ? Math.min(now.current.pages, MOST_REREAD) : 1
        const page = await several(latest.current, cursor, count, signal)
        if (signal.aborted) return
        if (all) reread.current = false
        const held = all ? { ...now.current, pages: 0 } : now.current
        change(merged(held, page, cursor, latest.current.idOf, of))
      } catch (error) {
        if (!signal.aborted) change({ ...now.current, key: of, loading: false, error: asApiError(error) })
        wanted.current = false
      }
      const { cursor: next, loading } = now.current
      if (!wanted.current || signal.aborted || loading || next === null) return
      wanted.current = false
      await run(next, signal, of)
    },
    [change],
  )

  // biome-ignore lint/correctness/useExhaustiveDependencies: `round` begins again
  useEffect(() => {
    if (!when) return
    const abort = new AbortController()
    busy.current = abort
    wanted.current = false
    if (now.current.key !== key) change({ ...empty, key })
    let timer: ReturnType<typeof setTimeout> | undefined
    const renew = async (): Promise<void> => {
      clearTimeout(timer)
      await run(null, abort.signal, key)
      if (every !== undefined && !abort.signal.aborted) timer = setTimeout(seen, every)
    }
    const seen = (): void => {
      if (!document.hidden) void renew()
    }
    if (every !== undefined) document.addEventListener('visibilitychange', seen)
    void renew()
    return () => {
      abort.abort()
      clearTimeout(timer)
      document.removeEventListener('visibilitychange', seen)
    }
  }, [key, every, when, round])

  const loadMore = useCallback(() => {
    const { cursor, loading, key: of } = now.current
    if (loading) wanted.current = true
    else if (cursor !== null && busy.current !== null) void run(cursor, busy.current.signal, of)
  }, [run])

  const reload = useCallback(() => {
    reread.current = true
    setRound((before) => before + 1)
  }, [])

  const shown = held.key === key ? held : empty
  const { items, loading, error, asOf, cursor } = shown
  return { items, first: asOf === undefined, loading, more: cursor !== null, error, asOf, loadMore, reload }
}

/** So many pages, one after the other, as one. */
async function several<T>(
  options: PagesOptions<T>,
  cursor: string | null,
  count: number,
  signal: AbortSignal,
): Promise<Page<T>> {
  let { items, nextCursor } = await some(options, cursor, signal)
  for (let i = 1; i < count && nextCursor !== null; i++) {
    const more = await some(options, nextCursor, signal)
    items = [...items, ...more.items]
    nextCursor = more.nextCursor
  }
  return { items, nextCursor }
}

async function some<T>(options: PagesOptions<T>, cursor: string | null, signal: AbortSignal): Promise<Page<T>> {
  let page = await options.load(cursor, signal)
  for (let i = 0; i < MOST_EMPTY && page.items.length === 0 && page.nextCursor !== null; i++)
    page = await options.load(page.nextCursor, signal)
  return page
}

/** Exported for tests. */
export function merged<T>(
  held: Held<T>,
  page: Page<T>,
  cursor: string | null,
  idOf: (item: T) => string,
  key: string,
): Held<T> {
  const done = { key, loading: false, error: undefined }
  const fresh = new Set(page.items.map(idOf))
  if (cursor === null) {
    // If the last one of the fresh page was not known, there may be others between it and what is known.
    const last = page.items.at(-1)
    const joins = last === undefined || held.items.some((item) => idOf(item) === idOf(last))
    const only = held.key !== key || held.pages <= 1 || !joins
    const items = only ? page.items : [...page.items, ...held.items.filter((item) => !fresh.has(idOf(item)))]
    return {
      ...done,
      items,
      cursor: only ? page.nextCursor : held.cursor,
      pages: only ? 1 : held.pages,
      asOf: Date.now(),
    }
  }
  const items = [...held.items.filter((item) => !fresh.has(idOf(item))), ...page.items]
  return { ...done, items, cursor: page.nextCursor, pages: held.pages + 1, asOf: held.asOf }
}
