/** Where one is in the graph page: everything that matters is in the address (K1). */
import { useCallback, useMemo } from 'react'
import { useLocation } from 'wouter'
// wouter's own decodes the query, and URLSearchParams would again.
import { useSearch } from 'wouter/use-browser-location'
import { graphLink } from '../shared/links.ts'
import type { Chosen } from './canvas/flow_canvas.tsx'

export const TABS = ['inspect', 'history', 'conflicts', 'activity', 'proof'] as const
export type Tab = (typeof TABS)[number]

export interface Place {
  readonly id: string
  /** As the address says it: a version, a label, a time; null is the head. */
  readonly at: string | null
  readonly chosen: Chosen | null
  /** A JSON Pointer into what is chosen. */
  readonly path: string | null
  readonly tab: Tab
  /** Where the graph is shown: as a picture, or as a table. */
  readonly show: 'canvas' | 'outline'
}

export type Move = Partial<Omit<Place, 'id' | 'at'>> & { readonly at?: string | number | null }

function readPlace(id: string, at: string | null, search: string): Place {
  const query = new URLSearchParams(search)
  const [node, edge, tab] = [query.get('node'), query.get('edge'), query.get('tab')]
  return {
    id,
    at,
    chosen: node !== null ? { kind: 'node', id: node } : edge !== null ? { kind: 'edge', id: edge } : null,
    path: query.get('path'),
    tab: TABS.find((one) => one === tab) ?? 'inspect',
    show: query.get('show') === 'outline' ? 'outline' : 'canvas',
  }
}

export function placeLink(place: Place, move: Move = {}): string {
  const { id, at, chosen, path, tab, show } = { ...place, ...move }
  const view = {
    node: chosen?.kind === 'node' ? chosen.id : null,
    edge: chosen?.kind === 'edge' ? chosen.id : null,
    path: chosen === null ? null : path,
    tab: tab === 'inspect' ? null : tab,
    show: show === 'canvas' ? null : show,
  }
  return graphLink(id, at, view)
}

export interface Placed {
  readonly place: Place
  /** `replace`: it is no step of its own for the browser's back button. */
  go: (move: Move, replace?: boolean) => void
  /** The address of another place, for links. */
  to: (move: Move) => string
  /** Goes to another page of the console. */
  open: (link: string) => void
}

export function usePlace(id: string, at: string | null): Placed {
  const search = useSearch()
  const [, navigate] = useLocation()
  const place = useMemo(() => readPlace(id, at, search), [id, at, search])
  const go = useCallback(
    (move: Move, replace = false) => navigate(placeLink(place, move), { replace }),
    [navigate, place],
  )
  const to = useCallback((move: Move) => placeLink(place, move), [place])
  return useMemo(() => ({ place, go, to, open: (link) => navigate(link) }), [place, go, to, navigate])
}
