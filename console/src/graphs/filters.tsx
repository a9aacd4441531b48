/** Search, filters and order of the list. All are in the address. */
import type { RefObject } from 'react'
import type { Params } from '../shared/links.ts'
import { attributesOf, type GraphRow } from '../shared/types.ts'
import { useTyped } from '../shared/use_typed.ts'

interface Props {
  params: URLSearchParams
  set: (change: Params) => void
  /** Known values to choose from. */
  rows: readonly GraphRow[]
  search: RefObject<HTMLInputElement | null>
}

export function Filters({ params, set, rows, search }: Props) {
  const tags = new Set(rows.flatMap((row) => attributesOf(row).tags))
  const owners = new Set(rows.flatMap((row) => attributesOf(row).owner ?? []))
  const labels = new Set(rows.flatMap((row) => Object.keys(row.labels)))
  const sort = params.get('sort') ?? 'updated'
  const order = params.get('order') ?? (sort === 'title' || sort === 'id' ? 'asc' : 'desc')
  return (
    <search className="filters">
      <Typed
        name="q"
        label="Search"
        wide
        placeholder="Id, title, description or tag"
        input={search}
        params={params}
        set={set}
      />
      <Typed name="tag" label="Tag" known={tags} params={params} set={set} />
      <Typed name="owner" label="Owner" known={owners} params={params} set={set} />
      <Typed name="label" label="Label" known={labels} params={params} set={set} />
      <label>
        Trash
        <select
          value={params.get('trashed') ?? 'no'}
          onChange={(event) => set({ trashed: event.target.value === 'no' ? null : event.target.value })}
        >
          <option value="no">Not in the trash</option>
          <option value="only">In the trash</option>
          <option value="any">Everything</option>
        </select>
      </label>
      <label>
        Sort by
        <select
          value={sort}
          onChange={(event) => set({ sort: event.target.value === 'updated' ? null : event.target.value, order: null })}
        >
          <option value="updated">Last change</option>
          <option value="created">Creation</option>
          <option value="title">Title</option>
          <option value="id">Id</option>
        </select>
      </label>
      <button
        type="button"
        aria-label={order === 'asc' ? 'Ascending. Change to descending' : 'Descending. Change to ascending'}
        title={order === 'asc' ? 'Ascending' : 'Descending'}
        onClick={() => set({ order: order === 'asc' ? 'desc' : 'asc' })}
      >
        {order === 'asc' ? '↑' : '↓'}
      </button>
    </search>
  )
}

function Typed({
  name,
  label,
  known,
  wide = false,
  placeholder,
  input,
  params,
  set,
}: {
  name: string
  label: string
  known?: ReadonlySet<string>
  wide?: boolean
  placeholder?: string
  input?: RefObject<HTMLInputElement | null>
} & Pick<Props, 'params' | 'set'>) {
  const [text, setText] = useTyped(params.get(name) ?? '', (value) => set({ [name]: value }))
  return (
    <label className={wide ? 'wide' : ''}>
      <span>
        {label} {wide && <kbd>/</kbd>}
      </span>
      <input
        ref={input}
        type={wide ? 'search' : 'text'}
        size={wide ? 30 : 12}
        value={text}
        placeholder={placeholder}
        list={known === undefined ? undefined : `known-${name}`}
        onChange={(event) => setText(event.target.value)}
      />
      {known !== undefined && (
        <datalist id={`known-${name}`}>
          {[...known].map((value) => (
            <option key={value} value={value} />
          ))}
        </datalist>
      )}
    </label>
  )
}
