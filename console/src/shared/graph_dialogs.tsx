/** The dialogs of one graph, the same on the list and on its page. Each says what it does, and what can be taken back. */
import { useState } from 'react'
import { ConfirmDialog } from './dialog.tsx'
import { Field, type GraphDialogProps, useAct } from './graph_act.tsx'
import { copyIdOf, GRAPH_ID_PATTERN } from './graph_ids.ts'
import { copyGraph, labelGraph, recoverGraph, trashGraph } from './graph_writes.ts'

/** `version` is the one that is looked at; without it, the newest. `onDone` is told the id of the copy. */
export function CopyDialog({ row, version, onClose, onDone }: GraphDialogProps & { version?: number | undefined }) {
  const [id, setId] = useState(copyIdOf(row.graphId))
  const [at, setAt] = useState(version === undefined ? '' : String(version))
  const [history, setHistory] = useState(false)
  const { act, problem } = useAct(id, { onClose, onDone }, [at, history])
  const copy = () =>
    act(`Copied ${row.graphId} to ${id}.`, (operationId) => copyGraph(row.graphId, id, { at, history }, operationId))
  return (
    <ConfirmDialog title={`Copy ${row.graphId}`} action="Copy" onConfirm={copy} onClose={onClose}>
      <Field label="Id of the copy">
        <input
          required
          value={id}
          pattern={GRAPH_ID_PATTERN}
          spellCheck={false}
          onChange={({ target: field }) => {
            field.setCustomValidity(field.value === row.graphId ? 'This is the graph itself.' : '')
            setId(field.value)
          }}
        />
      </Field>
      <Field label="Version" hint="A version, a label or a time. Empty: as it is now.">
        <input
          value={at}
          placeholder="1470, published"
          spellCheck={false}
          onChange={(event) => setAt(event.target.value)}
        />
      </Field>
      <label className="check">
        <input type="checkbox" checked={history} onChange={(event) => setHistory(event.target.checked)} />
        With its history: the same commits, authors, times and hashes
      </label>
      <p className="quiet small-text">Labels and the trash are not copied.</p>
      {problem}
    </ConfirmDialog>
  )
}

/** `version` is the one that is looked at; without it, the newest, which is called `published` unless one says otherwise. */
export function LabelDialog({
  row,
  version: shown,
  onClose,
  onDone,
}: GraphDialogProps & { version?: number | undefined }) {
  const [name, setName] = useState(shown === undefined ? 'published' : '')
  const [version, setVersion] = useState(String(shown ?? row.version))
  const [note, setNote] = useState('')
  const now = Object.hasOwn(row.labels, name) ? row.labels[name] : undefined
  const taken = now === undefined ? 'There is no such label yet.' : `It is v${now.version} now, set by ${now.by}.`
  const hint = name === '' ? 'A letter, then letters, digits, . _ and -.' : taken
  const number = Number(version.replace(/^v/, ''))
  const { act, problem } = useAct(row.graphId, { onClose, onDone }, [name, number, note])
  const label = () =>
    act(`${name} is v${number} of ${row.graphId}.`, (operationId) =>
      labelGraph(row.graphId, name, number, note, operationId),
    )
  return (
    <ConfirmDialog title={`Label a version of ${row.graphId}`} action="Set label" onConfirm={label} onClose={onClose}>
      <Field label="Label" hint={hint}>
        <input
          required
          value={name}
          list="label-names"
          pattern="(?!head$)[A-Za-z][A-Za-z0-9._\-]{0,63}"
          spellCheck={false}
          onChange={(event) => setName(event.target.value)}
        />
      </Field>
      <datalist id="label-names">
        {Object.keys(row.labels).map((known) => (
          <option key={known} value={known} />
        ))}
      </datalist>
      <Field label="Version">
        <input
          required
          value={version}
          inputMode="numeric"
          pattern="v?[1-9][0-9]*"
          onChange={(event) => setVersion(event.target.value)}
        />
      </Field>
      <Field label="Note">
        <input value={note} maxLength={1024} onChange={(event) => setNote(event.target.value)} />
      </Field>
      {problem}
    </ConfirmDialog>
  )
}

export function TrashDialog({ row, onClose, onDone }: GraphDialogProps) {
  const [reason, setReason] = useState('')
  const { act, problem } = useAct(row.graphId, { onClose, onDone }, [reason])
  const trash = () =>
    act(`${row.graphId} is in the trash.`, (operationId) => trashGraph(row.graphId, reason, operationId))
  return (
    <ConfirmDialog
      title="Move to the trash"
      typed={row.graphId}
      action="Move to the trash"
      onConfirm={trash}
      onClose={onClose}
    >
      <p>
        Nobody can edit the graph or read its contents while it is in the trash. Its history stays readable. You can
        recover it, with everything as it was, until the server purges it: after 30 days, if it was not set up
        otherwise.
      </p>
      <Field label="Reason">
        <input value={reason} maxLength={1024} onChange={(event) => setReason(event.target.value)} />
      </Field>
      {problem}
    </ConfirmDialog>
  )
}

export function RecoverDialog({ row, onClose, onDone }: GraphDialogProps) {
  const { act, problem } = useAct(row.graphId, { onClose, onDone })
  const recover = () => act(`Recovered ${row.graphId}.`, (operationId) => recoverGraph(row.graphId, operationId))
  return (
    <ConfirmDialog title={`Recover ${row.graphId}`} action="Recover" onConfirm={recover} onClose={onClose}>
      <p>The graph comes back as it was, with its labels. You can move it to the trash again.</p>
      {problem}
    </ConfirmDialog>
  )
}
