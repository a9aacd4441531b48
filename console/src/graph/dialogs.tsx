/** What can be done to a graph from its page: restore, label, copy, trash, recover. */

import { useState } from 'react'
import { ConfirmDialog } from '../shared/dialog.tsx'
import { counted } from '../shared/format.ts'
import { ProblemView } from '../shared/problem.tsx'
import { useLoad } from '../shared/use_load.ts'
import { useCommand } from './commands.tsx'
import { compare } from './compare.ts'
import { getDifference } from './source.ts'
import { v } from './text.ts'

interface Base {
  id: string
  onClose: () => void
  onDone?: () => void
}

export function RestoreDialog({ id, version, head, onClose, onDone }: Base & { version: number; head: number }) {
  const command = useCommand(id)
  const [attributes, setAttributes] = useState(false)
  const { data } = useLoad(`restore ${id} ${version} ${head}`, (signal) =>
    getDifference(id, 'head', String(version), signal),
  )
  const counts = data === undefined ? undefined : compare(data).counts
  const confirm = async (): Promise<void> => {
    const include = attributes ? { include: ['attributes', 'viewport'] } : {}
    await command.run('RESTORE_VERSION', { to: version, ...include }, `Restored ${v(version)}`)
    onDone?.()
    onClose()
  }
  return (
    <ConfirmDialog
      title={`Restore ${v(version)}`}
      action={`Restore ${v(version)}`}
      danger={false}
      onConfirm={confirm}
      onClose={onClose}
    >
      <p>
        Nodes and edges become what they were in {v(version)}. This is one new commit after {v(head)}: nothing of the
        history is lost, and one undo takes it back.
      </p>
      {counts !== undefined && (
        <p>
          It adds {counts.added}, removes {counts.removed}, changes {counts.changed} and moves {counts.moved}.
        </p>
      )}
      <label className="check">
        <input type="checkbox" checked={attributes} onChange={(event) => setAttributes(event.target.checked)} />
        also title, tags and the other attributes, and the viewport
      </label>
      {command.error !== null && <ProblemView error={command.error} />}
    </ConfirmDialog>
  )
}

export function LabelDialog({
  id,
  version,
  labels,
  onClose,
  onDone,
}: Base & { version: number; labels: readonly string[] }) {
  const command = useCommand(id)
  const [name, setName] = useState('')
  const [note, setNote] = useState('')
  const isName = /^[A-Za-z][A-Za-z0-9._-]{0,63}$/.test(name) && name !== 'head'
  const confirm = async (): Promise<void> => {
    if (!isName) return
    const text = note.trim() === '' ? {} : { note: note.trim() }
    await command.run('LABEL_VERSION', { name, version, ...text }, `Labelled ${v(version)} ${name}`)
    onDone?.()
    onClose()
  }
  return (
    <ConfirmDialog
      title={`Label ${v(version)}`}
      action="Set the label"
      danger={false}
      onConfirm={confirm}
      onClose={onClose}
    >
      <label className="field">
        <span>Name</span>
        <input
          value={name}
          onChange={(event) => setName(event.target.value)}
          list="gp-labels"
          spellCheck={false}
          required
        />
      </label>
      <datalist id="gp-labels">
        {labels.map((label) => (
          <option key={label} value={label} />
        ))}
      </datalist>
      {labels.includes(name) && <p>The label moves here from the version that it names now.</p>}
      {name !== '' && !isName && (
        <p className="danger-text">A letter, then letters, digits, dots, dashes or underscores.</p>
      )}
      <label className="field">
        <span>Note</span>
        <input value={note} onChange={(event) => setNote(event.target.value)} maxLength={1000} />
      </label>
      {command.error !== null && <ProblemView error={command.error} />}
    </ConfirmDialog>
  )
}

export function CopyDialog({ id, version, onClose, onOpen }: Base & { version: number; onOpen: (id: string) => void }) {
  const [to, setTo] = useState(`${id}-copy`)
  const [history, setHistory] = useState(false)
  const command = useCommand(to)
  const isId = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/.test(to) && to !== id
  const confirm = async (): Promise<void> => {
    if (!isId) return
    const from = { graphId: id, at: version, ...(history ? { history } : {}) }
    await command.run('CREATE_GRAPH', { from }, `Copied ${id} ${v(version)}`)
    onClose()
    onOpen(to)
  }
  return (
    <ConfirmDialog title={`Copy ${v(version)}`} action="Copy" danger={false} onConfirm={confirm} onClose={onClose}>
      <label className="field">
        <span>Id of the copy</span>
        <input value={to} onChange={(event) => setTo(event.target.value)} spellCheck={false} required />
      </label>
      <label className="check">
        <input type="checkbox" checked={history} onChange={(event) => setHistory(event.target.checked)} />
        with its history: the same commits, authors, times and hashes
      </label>
      {!isId && <p className="danger-text">This can’t be the id of a new graph.</p>}
      {command.error !== null && <ProblemView error={command.error} />}
    </ConfirmDialog>
  )
}

export function TrashDialog({ id, nodes, onClose, onDone }: Base & { nodes: number }) {
  const command = useCommand(id)
  const [reason, setReason] = useState('')
  const confirm = async (): Promise<void> => {
    const why = reason.trim() === '' ? {} : { reason: reason.trim() }
    await command.run('DELETE_GRAPH', why, 'Put into the trash')
    onDone?.()
    onClose()
  }
  return (
    <ConfirmDialog
      title="Put into the trash"
      typed={id}
      action="Put into the trash"
      onConfirm={confirm}
      onClose={onClose}
    >
      <p>
        Nobody can read or edit its {counted(nodes, 'node')} until somebody recovers it. You can recover it until the
        server purges it, 30 days from now unless it is set otherwise.
      </p>
      <label className="field">
        <span>Reason</span>
        <input value={reason} onChange={(event) => setReason(event.target.value)} maxLength={1000} />
      </label>
      {command.error !== null && <ProblemView error={command.error} />}
    </ConfirmDialog>
  )
}

export function RecoverDialog({ id, onClose, onDone }: Base) {
  const command = useCommand(id)
  const confirm = async (): Promise<void> => {
    await command.run('RECOVER_GRAPH', {}, 'Taken out of the trash')
    onDone?.()
    onClose()
  }
  return (
    <ConfirmDialog title="Recover" action="Recover" danger={false} onConfirm={confirm} onClose={onClose}>
      <p>Everything is as it was before.</p>
      {command.error !== null && <ProblemView error={command.error} />}
    </ConfirmDialog>
  )
}
