/**
 * Loads something and keeps it fresh. What was loaded stays while it is loaded again, or cannot be: `asOf` says from when it is,
 * `stale` that the last attempt failed. A hidden tab asks for nothing (K9).
 */
import { useCallback, useEffect, useRef, useState } from 'react'
import { ApiError } from './api.ts'
import { repeat } from './repeat.ts'

export interface Loaded<T> {
  readonly data: T | undefined
  readonly error: ApiError | undefined
  readonly loading: boolean
  readonly stale: boolean
  /** When `data` came, in milliseconds since the Unix epoch. */
  readonly asOf: number | undefined
  reload(): void
}

interface Held<T> {
  key: string
  data: T | undefined
  error: ApiError | undefined
  loading: boolean
  asOf: number | undefined
}

export interface LoadOptions {
  /** Milliseconds between the end of one request and the next; without it, only once. */
  every?: number
  /** `false`: nothing is loaded. */
  when?: boolean
}

/** Loads again when `key` changes; data of another key is not shown. */
export function useLoad<T>(
  key: string,
  load: (signal: AbortSignal) => Promise<T>,
  options: LoadOptions = {},
): Loaded<T> {
  const { every, when = true } = options
  const empty: Held<T> = { key, data: undefined, error: undefined, loading: when, asOf: undefined }
  const [held, setHeld] = useState<Held<T>>(empty)
  const [round, setRound] = useState(0)
  const latest = useRef(load)
  latest.current = load

  // biome-ignore lint/correctness/useExhaustiveDependencies: `round` asks again
  useEffect(() => {
    if (!when) return
    const abort = new AbortController()
    const run = async (): Promise<void> => {
      setHeld((now) => (now.key === key ? { ...now, loading: true } : { ...empty, key, loading: true }))
      try {
        const data = await latest.current(abort.signal)
        if (!abort.signal.aborted) setHeld({ key, data, error: undefined, loading: false, asOf: Date.now() })
      } catch (error) {
        if (!abort.signal.aborted) setHeld((now) => ({ ...now, error: asApiError(error), loading: false }))
      }
    }
    const stop = repeat(run, every)
    return () => {
      stop()
      abort.abort()
    }
  }, [key, every, when, round])

  const reload = useCallback(() => setRound((now) => now + 1), [])
  const shown = held.key === key ? held : empty
  return { ...shown, stale: shown.data !== undefined && shown.error !== undefined, reload }
}

export function asApiError(error: unknown): ApiError {
  return error instanceof ApiError ? error : new ApiError(0, 'CONSOLE_FAULT', String(error), null, null, null)
}
