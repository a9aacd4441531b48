/** The dialogs that only the list of graphs has. Each says what it does, and what can be taken back. */
import { useRef, useState } from 'react'
import { ConfirmDialog } from '../shared/dialog.tsx'
import { Field, type GraphDialogProps, useAct } from '../shared/graph_act.tsx'
import { GRAPH_ID_PATTERN } from '../shared/graph_ids.ts'
import { spoken } from '../shared/time.tsx'
import { attributesOf } from '../shared/types.ts'
import { type FlowFile, readFlow } from './flow_file.ts'
import { createGraph, type NewAttributes, purgeGraph, updateGraph } from './writes.ts'

const tagsOf = (text: string): string[] => [
  ...new Set(
    text
      .split(',')
      .map((tag) => tag.trim())
      .filter((tag) => tag !== ''),
  ),
]

export function CreateDialog({ onClose, onDone }: Omit<GraphDialogProps, 'row'>) {
  const [id, setId] = useState('')
  const [title, setTitle] = useState('')
  const [tags, setTags] = useState('')
  const [file, setFile] = useState<FlowFile | null>(null)
  const chosen = useRef<File | undefined>(undefined)
  const { act, problem } = useAct(id, { onClose, onDone }, [title, tags, file])
  const create = () => {
    const attributes: NewAttributes = {}
    if (title !== '') attributes.title = title
    if (tagsOf(tags).length > 0) attributes.tags = tagsOf(tags)
    return act(`Created ${id}.`, (operationId) => createGraph(id, attributes, operationId, file?.document))
  }
  return (
    <ConfirmDialog title="New graph" action="Create" onConfirm={create} onClose={onClose}>
      <Field label="Id" hint="Letters, digits, . _ : and -. It never changes.">
        <input
          required
          value={id}
          pattern={GRAPH_ID_PATTERN}
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

export function EditDialog({ row, onClose, onDone }: GraphDialogProps) {
  const before = attributesOf(row)
  const [title, setTitle] = useState(before.title ?? '')
  const [description, setDescription] = useState(before.description ?? '')
  const [owner, setOwner] = useState(before.owner ?? '')
  const [tags, setTags] = useState(before.tags.join(', '))
  const { act, problem } = useAct(row.graphId, { onClose, onDone }, [title, description, owner, tags])
  const save = () => {
    const updates: Record<string, unknown> = {}
    if (title !== (before.title ?? '')) updates.title = title || null
    if (description !== (before.description ?? '')) updates.description = description || null
    if (owner !== (before.owner ?? '')) updates.owner = owner || null
    if (tagsOf(tags).join() !== before.tags.join()) updates.tags = tagsOf(tags)
    return act(`Changed ${row.graphId}.`, (operationId) => updateGraph(row.graphId, updates, row.version, operationId))
  }
  return (
    <ConfirmDialog title={`Title and tags of ${row.graphId}`} action="Save" onConfirm={save} onClose={onClose}>
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

export function PurgeDialog({ row, onClose, onDone }: GraphDialogProps) {
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
