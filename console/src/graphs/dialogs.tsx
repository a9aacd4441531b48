/** The dialogs of the list of graphs. Each says what it does, and what can be taken back. */
import { type ReactNode, useRef, useState } from 'react'
import { ConfirmDialog } from '../shared/dialog.tsx'
import { notify } from '../shared/notices.tsx'
import { ProblemView } from '../shared/problem.tsx'
import { spoken } from '../shared/time.tsx'
import { type Accepted, attributesOf, type GraphRow } from '../shared/types.ts'
import { useWrite } from '../shared/use_write.ts'
import { type FlowFile, readFlow } from './flow_file.ts'
import {
  copyGraph,
  createGraph,
  labelGraph,
  type NewAttributes,
  purgeGraph,
  recoverGraph,
  trashGraph,
  updateGraph,
} from './writes.ts'

export type DialogName = 'create' | 'copy' | 'edit' | 'label' | 'trash' | 'recover' | 'purge'

interface Props {
  row: GraphRow
  onClose: () => void
  /** Something was written: the list is to be read again. */
  onDone: (graphId: string) => void
}

function useAct(graphId: string, { onClose, onDone }: Pick<Props, 'onClose' | 'onDone'>) {
  const write = useWrite()
  const act = (told: string, what: (operationId: string) => Promise<Accepted>, known = true) =>
    write.run(async (operationId) => {
      const { outcome } = await what(operationId)
      const text = outcome === 'unchanged' ? 'Nothing had to change.' : told
      notify(known ? { text, operationId, graphId } : { text })
      onClose()
      onDone(graphId)
    })
  return { act, problem: write.error === undefined ? null : <ProblemView error={write.error} /> }
}

function Field({ label, hint, children }: { label: string; hint?: ReactNode; children: ReactNode }) {
  return (
    // biome-ignore lint/a11y/noLabelWithoutControl: the control is a child
    <label className="field">
      <span>{label}</span>
      {children}
      {hint !== undefined && <small>{hint}</small>}
    </label>
  )
}

const tagsOf = (text: string): string[] => [
  ...new Set(
    text
      .split(',')
      .map((tag) => tag.trim())
      .filter((tag) => tag !== ''),
  ),
]

export function CreateDialog({ onClose, onDone }: Omit<Props, 'row'>) {
  const [id, setId] = useState('')
  const [title, setTitle] = useState('')
  const [tags, setTags] = useState('')
  const [file, setFile] = useState<FlowFile | null>(null)
  const chosen = useRef<File | undefined>(undefined)
  const { act, problem } = useAct(id, { onClose, onDone })
  const create = () => {
    const attributes: NewAttributes = {}
    if (title !== '') attributes.title = title
    if (tagsOf(tags).length > 0) attributes.tags = tagsOf(tags)
    return act(`Created ${id}.`, (operationId) => createGraph(id, attributes, operationId, file?.document))
  }
  return (
    <ConfirmDialog title="New graph" action="Create" danger={false} onConfirm={create} onClose={onClose}>
      <Field label="Id" hint="Letters, digits, . _ : and -. It never changes.">
        <input
          required
          value={id}
          pattern="[A-Za-z0-9][A-Za-z0-9._:\-]{0,127}"
          spellCheck={false}
          onChange={(event) => setId(event.target.value)}
        />
      </Field>
      <Field label="Title">
        <input value={title} maxLength={256} onChange={(event) => setTitle(event.target.value)} />
      </Field>
      <Field label="Tags" hint="With commas between them.">
        <input value={tags} onChange={(event) => setTags(event.target.value)} />
      </Field>
      <Field
        label="Contents"
        hint={file?.told ?? 'A React Flow document as a JSON file. Without one the graph is empty.'}
      >
        <input
          type="file"
          accept=".json,application/json"
          onChange={({ target: field }) => {
            const now = field.files?.[0]
            chosen.current = now
            setFile(null)
            // Without its contents the form would make an empty graph.
            field.setCustomValidity(now === undefined ? '' : 'The file is being read.')
            if (now === undefined) return
            void readFlow(now).then((read) => {
              if (chosen.current !== now) return
              setFile(read)
              field.setCustomValidity(read.document === undefined ? read.told : '')
            })
          }}
        />
      </Field>
      {problem}
    </ConfirmDialog>
  )
}

export function CopyDialog({ row, onClose, onDone }: Props) {
  const [id, setId] = useState(`${row.graphId}-copy`.slice(0, 128))
  const [at, setAt] = useState('')
  const [history, setHistory] = useState(false)
  const { act, problem } = useAct(id, { onClose, onDone })
  const copy = () =>
    act(`Copied ${row.graphId} to ${id}.`, (operationId) => copyGraph(row.graphId, id, { at, history }, operationId))
  return (
    <ConfirmDialog title={`Copy ${row.graphId}`} action="Copy" danger={false} onConfirm={copy} onClose={onClose}>
      <Field label="Id of the copy">
        <input
          required
          value={id}
          pattern="[A-Za-z0-9][A-Za-z0-9._:\-]{0,127}"
          spellCheck={false}
          onChange={(event) => setId(event.target.value)}
        />
      </Field>
      <Field label="Version" hint="A version, a label or a time. Empty: as it is now.">
        <input value={at} placeholder="head" spellCheck={false} onChange={(event) => setAt(event.target.value)} />
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

export function EditDialog({ row, onClose, onDone }: Props) {
  const before = attributesOf(row)
  const [title, setTitle] = useState(before.title ?? '')
  const [description, setDescription] = useState(before.description ?? '')
  const [owner, setOwner] = useState(before.owner ?? '')
  const [tags, setTags] = useState(before.tags.join(', '))
  const { act, problem } = useAct(row.graphId, { onClose, onDone })
  const save = () => {
    const updates: Record<string, unknown> = {}
    if (title !== (before.title ?? '')) updates.title = title || null
    if (description !== (before.description ?? '')) updates.description = description || null
    if (owner !== (before.owner ?? '')) updates.owner = owner || null
    if (tagsOf(tags).join() !== before.tags.join()) updates.tags = tagsOf(tags)
    return act(`Changed ${row.graphId}.`, (operationId) => updateGraph(row.graphId, updates, row.version, operationId))
  }
  return (
    <ConfirmDialog
      title={`Title and tags of ${row.graphId}`}
      action="Save"
      danger={false}
      onConfirm={save}
      onClose={onClose}
    >
      <Field label="Title">
        <input value={title} maxLength={256} onChange={(event) => setTitle(event.target.value)} />
      </Field>
      <Field label="Description">
        <textarea
          rows={3}
          value={description}
          maxLength={4096}
          onChange={(event) => setDescription(event.target.value)}
        />
      </Field>
      <Field label="Owner" hint="Names a person and grants nothing.">
        <input value={owner} onChange={(event) => setOwner(event.target.value)} />
      </Field>
      <Field label="Tags" hint="With commas between them.">
        <input value={tags} onChange={(event) => setTags(event.target.value)} />
      </Field>
      {problem}
    </ConfirmDialog>
  )
}

export function LabelDialog({ row, onClose, onDone }: Props) {
  const [name, setName] = useState('published')
  const [version, setVersion] = useState(String(row.version))
  const [note, setNote] = useState('')
  const { act, problem } = useAct(row.graphId, { onClose, onDone })
  const now = Object.hasOwn(row.labels, name) ? row.labels[name] : undefined
  const number = Number(version.replace(/^v/, ''))
  const label = () =>
    act(`${name} is v${number} of ${row.graphId}.`, (operationId) =>
      labelGraph(row.graphId, name, number, note, operationId),
    )
  return (
    <ConfirmDialog
      title={`Label a version of ${row.graphId}`}
      action="Set label"
      danger={false}
      onConfirm={label}
      onClose={onClose}
    >
      <Field
        label="Label"
        hint={now === undefined ? 'There is no such label yet.' : `It is v${now.version} now, set by ${now.by}.`}
      >
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

export function TrashDialog({ row, onClose, onDone }: Props) {
  const [reason, setReason] = useState('')
  const { act, problem } = useAct(row.graphId, { onClose, onDone })
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

export function RecoverDialog({ row, onClose, onDone }: Props) {
  const { act, problem } = useAct(row.graphId, { onClose, onDone })
  const recover = () => act(`Recovered ${row.graphId}.`, (operationId) => recoverGraph(row.graphId, operationId))
  return (
    <ConfirmDialog
      title={`Recover ${row.graphId}`}
      action="Recover"
      danger={false}
      onConfirm={recover}
      onClose={onClose}
    >
      <p>The graph comes back as it was, with its labels. You can move it to the trash again.</p>
      {problem}
    </ConfirmDialog>
  )
}

export function PurgeDialog({ row, onClose, onDone }: Props) {
  const { act, problem } = useAct(row.graphId, { onClose, onDone })
  const purge = () => act(`Purged ${row.graphId}.`, (operationId) => purgeGraph(row.graphId, operationId), false)
  const at = row.trashed?.purgeAt
  return (
    <ConfirmDialog title="Purge for good" typed={row.graphId} action="Purge" onConfirm={purge} onClose={onClose}>
      <p>
        <strong>This can't be taken back.</strong> All {row.version} commits, labels and refused operations of{' '}
        {row.graphId} are removed. Backups keep what they have.
      </p>
      {at !== undefined && (
        <p className="quiet">Without this, the server purges it {spoken(at)}. Until then it can be recovered.</p>
      )}
      {problem}
    </ConfirmDialog>
  )
}
