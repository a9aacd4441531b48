/** The query of the address as the state of a screen (K1). */
import { useCallback } from 'react'
import { useLocation } from 'wouter'
// wouter's own decodes the query, and URLSearchParams would again.
import { useSearch } from 'wouter/use-browser-location'
import { type Params, queryOf } from './links.ts'

/** `set` changes some values and leaves the others; empty values are removed. It replaces the history's entry by default. */
export function useParams(): readonly [URLSearchParams, (change: Params, how?: 'replace' | 'push') => void] {
  const search = useSearch()
  const [path, navigate] = useLocation()
  const set = useCallback(
    (change: Params, how: 'replace' | 'push' = 'replace') => {
      // As the address is now: this may be called after a pause in which another value was set.
      const now = Object.fromEntries(new URLSearchParams(location.search))
      navigate(`${path}${queryOf({ ...now, ...change })}`, { replace: how === 'replace' })
    },
    [path, navigate],
  )
  return [new URLSearchParams(search), set]
}
