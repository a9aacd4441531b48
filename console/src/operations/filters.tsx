/** Which operations: all in the address. */
import { type FormEvent, useId, useState } from 'react'
import { useLocation } from 'wouter'
import { get } from '../shared/api.ts'
import { commandWords } from '../shared/format.ts'
import { operationLink, type Params } from '../shared/links.ts'
import { attributesOf, type GraphList } from '../shared/types.ts'
import { useLoad } from '../shared/use_load.ts'
import { useTyped } from '../shared/use_typed.ts'

export const NAMES = ['graphs', 'user', 'type', 'status', 'code', 'entity', 'from', 'to'] as const

const TYPES = [
  'CREATE_NODE',
  'UPDATE_NODE',
  'UPDATE_NODE_POSITION',
  'DELETE_NODE',
  'CREATE_EDGE',
  'UPDATE_EDGE',
  'DELETE_EDGE',
  'SET_VIEWPORT',
  'BATCH_UPDATE',
  'BATCH',
  'SAVE_DOCUMENT',
  'UNDO',
  'CREATE_GRAPH',
  'UPDATE_GRAPH',
  'DELETE_GRAPH',
  'RECOVER_GRAPH',
  'LABEL_VERSION',
  'RESTORE_VERSION',
]
const CODES = [
  'CONFLICT',
  'TARGET_DELETED',
  'ID_TAKEN',
  'VERSION_AHEAD',
  'UNDO_CONFLICT',
  'NODE_NOT_FOUND',
  'EDGE_NOT_FOUND',
  'DANGLING_EDGE',
  'PARENT_NOT_FOUND',
  'PARENT_CYCLE',
  'GRAPH_EXISTS',
  'LABEL_MOVED',
  'LABEL_NOT_FOUND',
  'VERSION_NOT_FOUND',
  'OPERATION_NOT_FOUND',
  'DEPENDENCY_REFUSED',
  'TOO_LARGE',
]

interface Props {
  params: URLSearchParams
  set: (change: Params) => void
  everywhere: boolean
}

export function Filters({ params, set, everywhere }: Props) {
  const pick = (name: string, value: string): void => set({ [name]: value })
  return (
    <search className="filters" aria-label="Filter operations">
      <Typed
        known="known-graphs"
        name="graphs"
        label={everywhere ? 'Graphs' : 'Graph'}
        placeholder={everywhere ? 'team-a.*' : 'its id'}
        params={params}
        set={set}
      />
      <Typed name="user" label="User" params={params} set={set} />
      <label>
        Command
        <select value={params.get('type') ?? ''} onChange={(event) => pick('type', event.target.value)}>
          <option value="">Any</option>
          {TYPES.map((type) => (
            <option key={type} value={type}>
              {commandWords(type)}
            </option>
          ))}
        </select>
      </label>
      <label>
        Outcome
        <select value={params.get('status') ?? ''} onChange={(event) => pick('status', event.target.value)}>
          <option value="">Any</option>
          <option value="completed">Completed</option>
          <option value="conflict">Refused: conflict</option>
          <option value="failed">Refused: failed</option>
        </select>
      </label>
      <label>
        Code
        <select value={params.get('code') ?? ''} onChange={(event) => pick('code', event.target.value)}>
          <option value="">Any</option>
          {CODES.map((code) => (
            <option key={code}>{code}</option>
          ))}
        </select>
      </label>
      <Typed name="entity" label="Node or edge" params={params} set={set} />
      <Moment name="from" label="From" params={params} set={set} />
      <Moment name="to" label="To" params={params} set={set} />
      <KnownGraphs id="known-graphs" />
      <ById />
    </search>
  )
}

type OneProps = Omit<Props, 'everywhere'> & { name: string; label: string; placeholder?: string; known?: string }

/** The ids of graphs that the user may read, to choose from. */
function KnownGraphs({ id }: { id: string }) {
  const { data } = useLoad('known-graphs', (signal) => get<GraphList>('graphs', { query: { limit: 100 }, signal }))
  return (
    <datalist id={id}>
      {(data?.graphs ?? []).map((row) => (
        <option key={row.graphId} value={row.graphId}>
          {attributesOf(row).title}
        </option>
      ))}
    </datalist>
  )
}

function Typed({ name, label, placeholder, known, params, set }: OneProps) {
  const [text, setText] = useTyped(params.get(name) ?? '', (value) => set({ [name]: value }))
  return (
    <label>
      {label}
      <input
        size={12}
        value={text}
        placeholder={placeholder}
        list={known}
        spellCheck={false}
        onChange={(event) => setText(event.target.value)}
      />
    </label>
  )
}

/** A time, in milliseconds in the address and in the reader's time zone in the field. */
function Moment({ name, label, params, set }: OneProps) {
  const at = timeOf(params.get(name))
  return (
    <label>
      {label}
      <input
        type="datetime-local"
        value={at === null ? '' : local(at)}
        onChange={(event) => {
          const next = new Date(event.target.value).getTime()
          set({ [name]: Number.isFinite(next) ? next : null })
        }}
      />
    </label>
  )
}

/** Beyond it a date does not exist in every time zone. */
const LATEST_MS = 8.64e15 - 86_400_000

/** The time that an address says; null if it says none. Exported for tests. */
export function timeOf(text: string | null): number | null {
  if (text === null || !/^-?\d+$/.test(text)) return null
  const at = Number(text)
  return Math.abs(at) <= LATEST_MS ? at : null
}

const local = (at: number): string =>
  new Date(at - new Date(at).getTimezoneOffset() * 60_000).toISOString().slice(0, 16)

function ById() {
  const [id, setId] = useState('')
  const [, navigate] = useLocation()
  const field = useId()
  const go = (event: FormEvent): void => {
    event.preventDefault()
    if (id.trim() !== '') navigate(operationLink(id.trim()))
  }
  return (
    <form className="spread by-id" onSubmit={go}>
      <label htmlFor={field}>Open by its id</label>
      <span className="row">
        <input
          id={field}
          size={24}
          value={id}
          placeholder="0192f0c1-…"
          spellCheck={false}
          onChange={(event) => setId(event.target.value)}
        />
        <button type="submit" disabled={id.trim() === ''}>
          Open
        </button>
      </span>
    </form>
  )
}
