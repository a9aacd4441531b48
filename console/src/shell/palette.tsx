/** ⌘K: go to a graph by its id or title, to an operation by its id, or to a screen. */
import { useEffect, useId, useState } from 'react'
import { useLocation } from 'wouter'
import { type ApiError, get } from '../shared/api.ts'
import { Dialog } from '../shared/dialog.tsx'
import { isGraphId } from '../shared/graph_ids.ts'
import { graphLink, graphsLink, operationLink, subscriptionLink } from '../shared/links.ts'
import { SCREENS } from '../shared/screens.ts'
import { mayAll, useSession } from '../shared/session.ts'
import { attributesOf, type GraphList, type SubscriptionNames } from '../shared/types.ts'
import { asApiError, useLoad } from '../shared/use_load.ts'

interface Target {
  href: string
  name: string
  hint: string
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
const PAUSE_MS = 120

export function Palette({ onClose }: { onClose: () => void }) {
  const [text, setText] = useState('')
  const [chosen, setChosen] = useState(0)
  const graphs = useGraphs(text.trim())
  const [, navigate] = useLocation()
  const list = useId()
  const subscriptions = useSubscriptions(text.trim())
  const targets = targetsFor(text.trim(), [...graphs.found, ...subscriptions])
  const at = Math.min(chosen, targets.length - 1)
  const go = (target: Target | undefined): void => {
    if (target === undefined) return
    onClose()
    navigate(target.href)
  }
  return (
    <Dialog title="Go to" onClose={onClose} className="palette">
      <form
        className="dialog-body"
        onSubmit={(event) => {
          event.preventDefault()
          go(targets[at])
        }}
      >
        <input
          role="combobox"
          aria-label="A graph's id or title, an operation's id, or a screen"
          aria-expanded="true"
          aria-controls={list}
          aria-activedescendant={targets.length > 0 ? `${list}-${at}` : undefined}
          placeholder="A graph, an operation, a screen…"
          value={text}
          autoFocus
          onChange={(event) => {
            setText(event.target.value)
            setChosen(0)
          }}
          onKeyDown={(event) => {
            if (event.key !== 'ArrowDown' && event.key !== 'ArrowUp') return
            event.preventDefault()
            const by = event.key === 'ArrowDown' ? 1 : -1
            setChosen((at + by + targets.length) % Math.max(1, targets.length))
          }}
        />
        <div role="listbox" id={list} aria-label="Where to go" className="palette-list">
          {targets.map((target, index) => (
            <div
              key={target.href}
              id={`${list}-${index}`}
              role="option"
              tabIndex={-1}
              aria-selected={index === at}
              className="palette-item"
              onMouseMove={() => setChosen(index)}
              onClick={() => go(target)}
              onKeyDown={(event) => event.key === 'Enter' && go(target)}
            >
              <span>{target.name}</span>
              <span className="quiet small-text">{target.hint}</span>
            </div>
          ))}
        </div>
        {targets.length === 0 && <p className="quiet">Nothing is called so.</p>}
        {graphs.error !== undefined && (
          <p className="quiet small-text" role="status">
            Graphs can't be searched now: <code>{graphs.error.code}</code>
          </p>
        )}
      </form>
    </Dialog>
  )
}

function targetsFor(text: string, graphs: readonly Target[]): Target[] {
  const named = SCREENS.filter(({ name }) => name.toLowerCase().includes(text.toLowerCase()))
  const places = named.map(({ href, name, keys }) => ({ href, name, hint: keys }))
  if (text === '') return [...places, ...graphs]
  if (UUID.test(text)) return [{ href: operationLink(text), name: `Operation ${text}`, hint: 'operation' }]
  const exact = isGraphId(text) && !graphs.some(({ href }) => href === graphLink(text))
  return [
    ...graphs,
    ...places,
    ...(exact ? [{ href: graphLink(text), name: `Open ${text}`, hint: 'graph by its id' }] : []),
    { href: graphsLink({ q: text }), name: `Search graphs for “${text}”`, hint: 'search' },
  ]
}

const MOST_SUBSCRIPTIONS = 5

function useSubscriptions(text: string): readonly Target[] {
  const when = mayAll(useSession()) && text !== ''
  const { data } = useLoad('palette', (signal) => get<SubscriptionNames>('subscriptions', { signal }), { when })
  if (!when) return []
  const found = (data?.subscriptions ?? []).filter((name) => name.toLowerCase().includes(text.toLowerCase()))
  return found
    .slice(0, MOST_SUBSCRIPTIONS)
    .map((name) => ({ href: subscriptionLink(name), name, hint: 'subscription' }))
}

interface Search {
  text: string
  found: readonly Target[]
  error: ApiError | undefined
}

/** Only what was found for this text: Enter has to open what is named now. */
function useGraphs(text: string): Search {
  const none: Search = { text, found: [], error: undefined }
  const [search, setSearch] = useState(none)
  useEffect(() => {
    const abort = new AbortController()
    const timer = setTimeout(async () => {
      try {
        const { graphs } = await get<GraphList>('graphs', { query: { q: text, limit: 8 }, signal: abort.signal })
        const found = graphs.map((row) => ({
          href: graphLink(row.graphId),
          name: attributesOf(row).title ?? row.graphId,
          hint: row.graphId,
        }))
        if (!abort.signal.aborted) setSearch({ text, found, error: undefined })
      } catch (error) {
        if (!abort.signal.aborted) setSearch({ text, found: [], error: asApiError(error) })
      }
    }, PAUSE_MS)
    return () => {
      clearTimeout(timer)
      abort.abort()
    }
  }, [text])
  return search.text === text ? search : none
}
