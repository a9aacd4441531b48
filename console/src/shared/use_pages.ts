/**
 * A list that comes in pages with cursors. Pages may be short or empty (A1): they are asked for until something comes or the end
 * is reached. The first page is renewed every `every` milliseconds while the tab is seen.
 */
import { useCallback, useEffect, useRef, useState } from 'react'
import type { ApiError } from './api.ts'
import { extended, type Held, type Page, readAgain, readPage, renewed } from './pages.ts'
import { repeat } from './repeat.ts'
import { asApiError } from './use_load.ts'

export interface Pages<T> {
  readonly items: readonly T[]
  /** Nothing was answered yet. */
  readonly first: boolean
  readonly loading: boolean
  /** There is more to load. */
  readonly more: boolean
  /** The last pages were empty, and there is more: somebody has to say whether to go on. */
  readonly dry: boolean
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

const NEVER = { error: undefined, asOf: undefined, dry: false, bare: false } as const

export function usePages<T>(options: PagesOptions<T>): Pages<T> {
  const { key, every, when = true } = options
  const empty: Held<T> = { key, items: [], cursor: null, pages: 0, loading: true, ...NEVER }
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
      const { idOf } = latest.current
      const load = (at: string | null): Promise<Page<T>> => latest.current.load(at, signal)
      try {
        if (cursor === null) {
          const { read, whole } = await readAgain(load, () => now.current, idOf, reread.current)
          if (signal.aborted) return
          if (whole) reread.current = false
          change(renewed(whole ? { ...now.current, pages: 0 } : now.current, read, idOf, of))
        } else {
          const page = await readPage(load, cursor)
          if (signal.aborted) return
          // If the list was renewed meanwhile and ends elsewhere now, this page does not follow it.
          const follows = now.current.cursor === cursor
          change(follows ? extended(now.current, page, idOf) : { ...now.current, loading: false })
        }
      } catch (error) {
        if (signal.aborted) return
        change({ ...now.current, key: of, loading: false, error: asApiError(error) })
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
    const stop = repeat(() => run(null, abort.signal, key), every)
    return () => {
      stop()
      abort.abort()
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
  const { items, loading, error, asOf, cursor, dry } = shown
  return { items, first: asOf === undefined, loading, more: cursor !== null, dry, error, asOf, loadMore, reload }
}
