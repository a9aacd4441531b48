/** What is done with all selected graphs: one command for each, and a list of those that were refused. */
import { useState } from 'react'
import { ConfirmDialog } from '../shared/dialog.tsx'
import { counted } from '../shared/format.ts'
import { trashGraph } from '../shared/graph_writes.ts'
import { notify } from '../shared/notices.tsx'
import { mayOn } from '../shared/session.ts'
import type { GraphRow } from '../shared/types.ts'
import { changeTags, type Done, each, updateGraph } from './writes.ts'

interface Props {
  rows: readonly GraphRow[]
  onClear: () => void
  onDone: () => void
}

export function BulkBar({ rows, onClear, onDone }: Props) {
  /** With the rows that were selected when it was opened: what was confirmed is what is done. */
  const [open, setOpen] = useState<{ name: 'tag' | 'trash'; rows: readonly GraphRow[] } | null>(null)
  const Opened = open === null ? null : DIALOGS[open.name]
  return (
    <>
      {rows.length > 0 && <Bar rows={rows} onClear={onClear} onOpen={(name) => setOpen({ name, rows })} />}
      {open !== null && Opened !== null && (
        <Opened
          // A new version of a row, where one is known: the next attempt is judged on it.
          rows={open.rows.map((row) => rows.find(({ graphId }) => graphId === row.graphId) ?? row)}
          onClose={() => setOpen(null)}
          onDone={onDone}
        />
      )}
    </>
  )
}

function Bar({ rows, onClear, onOpen }: Omit<Props, 'onDone'> & { onOpen: (name: 'tag' | 'trash') => void }) {
  return (
    <div className="bulk card" role="toolbar" aria-label="Selected graphs">
      <strong>{counted(rows.length, 'graph')} selected</strong>
      <button type="button" onClick={() => onOpen('tag')}>
        Change tags…
      </button>
      <button
        type="button"
        className="danger-text"
        disabled={!rows.every(({ graphId }) => mayOn(graphId, 'admin'))}
        onClick={() => onOpen('trash')}
      >
        Move to the trash…
      </button>
      <button type="button" className="link spread" onClick={onClear}>
        Clear
      </button>
    </div>
  )
}

type DialogProps = Omit<Props, 'onClear'> & { onClose: () => void }

function useEach({ rows, onClose, onDone }: DialogProps, did: string) {
  const [failed, setFailed] = useState<readonly Done[]>([])
  const run = async (write: (row: GraphRow, operationId: string) => Promise<unknown>): Promise<void> => {
    const done = await each(rows, write, failed)
    const refused = done.filter(({ error }) => error !== undefined)
    for (const { graphId, operationId, error } of done)
      if (error === undefined) notify({ text: `${did} ${graphId}.`, operationId, graphId })
    setFailed(refused)
    onDone()
    if (refused.length === 0) onClose()
  }
  const problems = failed.length > 0 && (
    <ul className="problem" role="alert">
      {failed.map(({ graphId, error }) => (
        <li key={graphId}>
          {graphId}: {error?.detail} <code>{error?.code}</code> <code>{error?.requestId}</code>
        </li>
      ))}
    </ul>
  )
  return { run, problems }
}

function TagDialog(props: DialogProps) {
  const [change, setChange] = useState('')
  const { run, problems } = useEach(props, 'Changed the tags of')
  const save = () =>
    run((row, operationId) => updateGraph(row.graphId, { tags: changeTags(row, change) }, row.version, operationId))
  return (
    <ConfirmDialog title="Change tags" action="Change tags" onConfirm={save} onClose={props.onClose}>
      <label className="field">
        <span>Tags</span>
        <input value={change} placeholder="billing, -draft" onChange={(event) => setChange(event.target.value)} />
        <small>A word is added, a word with - is removed. With commas between them.</small>
      </label>
      {problems}
    </ConfirmDialog>
  )
}

function TrashAllDialog(props: DialogProps) {
  const { run, problems } = useEach(props, 'Moved to the trash:')
  return (
    <ConfirmDialog
      title="Move to the trash"
      typed={`trash ${props.rows.length}`}
      action="Move to the trash"
      onConfirm={() => run((row, operationId) => trashGraph(row.graphId, '', operationId))}
      onClose={props.onClose}
    >
      <p>{props.rows.map(({ graphId }) => graphId).join(', ')}</p>
      <p>Each can be recovered, with everything as it was, until the server purges it.</p>
      {problems}
    </ConfirmDialog>
  )
}

const DIALOGS = { tag: TagDialog, trash: TrashAllDialog }
