/** What is shown: the head, or the graph as it was. */
import type { GraphSnapshot } from '@dao-api/client'
import { useEffect, useMemo, useRef, useState } from 'react'
import type { ApiError } from '../shared/api.ts'
import { ApiError as Failure } from '../shared/api.ts'
import { asApiError, useLoad } from '../shared/use_load.ts'
import { type Moment, Past } from './past.ts'
import { commitAtTime, pastSource } from './source.ts'
import type { Head } from './use_head.ts'
import type { GraphRow } from './wire_types.ts'

export interface View {
  readonly kind: 'head' | 'past'
  readonly version: number
  readonly snapshot: GraphSnapshot
  /** Past only: the commit that made it. */
  readonly moment: Moment | null
}

export type Wanted = { readonly kind: 'head' } | { readonly kind: 'version'; readonly version: number }

const VERSIONS_BELOW = 100_000_000_000

/** What `at` of an address means (L13), as far as it can be told without a request; `null`: it is a time. */
export function wantedOf(at: string | null, row: GraphRow | undefined): Wanted | 'time' | 'unknown' | null {
  if (at === null || at === 'head') return { kind: 'head' }
  if (/^\d+$/.test(at)) return Number(at) < VERSIONS_BELOW ? { kind: 'version', version: Number(at) } : 'time'
  if (/^\d{4}-/.test(at)) return Number.isNaN(timeOf(at)) ? 'unknown' : 'time'
  if (row === undefined) return null
  // A label may not be there, and have the name of what every object has: `constructor`.
  const label = Object.hasOwn(row.labels, at) ? row.labels[at] : undefined
  return label === undefined ? 'unknown' : { kind: 'version', version: label.version }
}

function timeOf(at: string): number {
  return /^\d+$/.test(at) ? Number(at) : Date.parse(at)
}

/** The time that an address names; `null` if it names something else. */
export function momentAt(at: string | null): number | null {
  return at !== null && wantedOf(at, undefined) === 'time' ? timeOf(at) : null
}

/** The version that an address names. */
export function useWanted(
  id: string,
  at: string | null,
  row: GraphRow | undefined,
): { wanted: Wanted | null; error?: ApiError } {
  const read = useMemo(() => wantedOf(at, row), [at, row])
  const isTime = read === 'time'
  const found = useLoad(`at ${id} ${at}`, (signal) => commitAtTime(id, timeOf(at ?? ''), signal), { when: isTime })
  const version = isTime && found.data !== undefined ? (found.data?.version ?? 0) : null
  return useMemo(() => {
    if (read === 'unknown') {
      const detail = `The graph has no version, label or time “${at}”.`
      return { wanted: null, error: new Failure(404, 'LABEL_NOT_FOUND', detail, null, null, null) }
    }
    if (read !== 'time') return { wanted: read }
    if (version !== null) return { wanted: { kind: 'version', version } }
    return found.error === undefined ? { wanted: null } : { wanted: null, error: found.error }
  }, [read, version, found.error, at])
}

interface Viewed {
  /** What is shown; what was shown before, while the next is on its way. */
  readonly view: View | null
  readonly isLoading: boolean
  readonly error: ApiError | null
  readonly retry: () => void
}

/** The past of a graph; another one when its history was replaced. */
export function usePast(id: string, head: Head): Past {
  // biome-ignore lint/correctness/useExhaustiveDependencies: another history is another past
  return useMemo(() => new Past(pastSource(id)), [id, head.replacements])
}

export function useView(past: Past, wanted: Wanted | null, head: Head): Viewed {
  const [moment, setMoment] = useState<{ past: Past; moment: Moment } | null>(null)
  const [error, setError] = useState<ApiError | null>(null)
  const [round, setRound] = useState(0)
  const version = wanted?.kind === 'version' ? wanted.version : null
  const latest = useRef<number | null>(null)
  const running = useRef(false)
  const current = useRef(past)
  current.current = past
  // biome-ignore lint/correctness/useExhaustiveDependencies: `round` tries again
  useEffect(() => {
    latest.current = version
    setError(null)
    if (version === null || running.current) return
    // One at a time: while one is on its way, only the latest of the others is asked for, in the history of then.
    const run = async (): Promise<void> => {
      running.current = true
      for (let next = latest.current; next !== null; ) {
        const [asked, from] = [next, current.current]
        const isLatest = (): boolean => latest.current === asked && current.current === from
        try {
          const found = await from.at(asked)
          setMoment({ past: from, moment: found })
          setError(null)
        } catch (failure) {
          if (isLatest()) setError(notFound(failure, asked))
        }
        next = isLatest() ? null : latest.current
      }
      running.current = false
    }
    void run()
  }, [past, version, round])
  const isPast = version !== null
  const shown = moment?.past === past ? moment.moment : null
  const view = useMemo((): View | null => {
    if (isPast) return shown && { kind: 'past', version: shown.version, snapshot: shown.snapshot, moment: shown }
    if (!head.snapshot.ready) return null
    return { kind: 'head', version: head.version, snapshot: head.snapshot, moment: null }
  }, [isPast, shown, head.snapshot, head.version])
  // What was shown before stays until the next is there, so that the canvas keeps its place: not that of another history.
  const [kept, setKept] = useState<{ past: Past; view: View } | null>(null)
  useEffect(() => {
    if (view !== null) setKept({ past, view })
  }, [past, view])
  return {
    view: view ?? (wanted === null || kept?.past !== past ? null : kept.view),
    isLoading: isPast ? shown?.version !== version && error === null : view === null,
    error: isPast ? error : null,
    retry: () => setRound((count) => count + 1),
  }
}

function notFound(failure: unknown, version: number): ApiError {
  if (failure instanceof Failure) return failure
  if (failure instanceof Error && failure.message.startsWith('Version')) {
    return new Failure(404, 'VERSION_NOT_FOUND', `The graph has no version ${version}.`, null, null, null)
  }
  return asApiError(failure)
}
