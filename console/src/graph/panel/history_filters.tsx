/** What the list shows: by whom, of which kind, refused too, and from when on. */
import { useState } from 'react'
import { v } from '../text.ts'

const KINDS = ['everything', 'content', 'attributes', 'labels'] as const
export type Kind = (typeof KINDS)[number]

const COMMANDS = [
  'CREATE_NODE',
  'UPDATE_NODE',
  'UPDATE_NODE_POSITION',
  'DELETE_NODE',
  'CREATE_EDGE',
  'UPDATE_EDGE',
  'DELETE_EDGE',
  'SET_VIEWPORT',
  'BATCH_UPDATE',
  'SAVE_DOCUMENT',
  'BATCH',
  'UNDO',
  'RESTORE_VERSION',
] as const

export interface Filter {
  readonly user: string
  readonly kind: Kind
  /** A type of command; empty for all. */
  readonly type: string
  readonly refused: boolean
  readonly collapse: boolean
  /** Begins at this time; null is now. */
  readonly to: number | null
}

export const NO_FILTER: Filter = { user: '', kind: 'everything', type: '', refused: true, collapse: true, to: null }

export function HistoryFilters({
  filter,
  setFilter,
  here,
}: {
  filter: Filter
  setFilter: (filter: Filter) => void
  /** The version of the past that is shown. */
  here: { version: number; timestamp: number } | null
}) {
  const [user, setUser] = useState(filter.user)
  const set = (change: Partial<Filter>): void => setFilter({ ...filter, ...change })
  return (
    <form
      className="gp-filters"
      onSubmit={(event) => {
        event.preventDefault()
        set({ user: user.trim() })
      }}
    >
      <input
        aria-label="Author"
        placeholder="author"
        value={user}
        onChange={(event) => setUser(event.target.value)}
        onBlur={() => user.trim() !== filter.user && set({ user: user.trim() })}
      />
      <select aria-label="Content" value={filter.kind} onChange={(event) => set({ kind: event.target.value as Kind })}>
        {KINDS.map((kind) => (
          <option key={kind}>{kind}</option>
        ))}
      </select>
      <select
        aria-label="Command"
        value={filter.type}
        disabled={filter.kind === 'attributes' || filter.kind === 'labels'}
        onChange={(event) => set({ type: event.target.value })}
      >
        <option value="">all commands</option>
        {COMMANDS.map((type) => (
          <option key={type}>{type}</option>
        ))}
      </select>
      <label className="check">
        <input type="checkbox" checked={filter.refused} onChange={(event) => set({ refused: event.target.checked })} />
        refused too
      </label>
      <label className="check">
        <input
          type="checkbox"
          checked={filter.collapse}
          onChange={(event) => set({ collapse: event.target.checked })}
        />
        group repeats
      </label>
      <small className="quiet gp-filters-hint">Repeats: four or more alike in a row are one line.</small>
      {filter.to !== null ? (
        <button type="button" className="link" onClick={() => set({ to: null })}>
          ↑ from now
        </button>
      ) : (
        here !== null && (
          <button type="button" className="link" onClick={() => set({ to: here.timestamp })}>
            ↓ from {v(here.version)}
          </button>
        )
      )}
    </form>
  )
}
