/** Restoring a version: what a graph's page can do and the list can't. */
import { useState } from 'react'
import { ConfirmDialog } from '../shared/dialog.tsx'
import { ProblemView } from '../shared/problem.tsx'
import { useLoad } from '../shared/use_load.ts'
import { useCommand } from './commands.tsx'
import { compare } from './compare.ts'
import { getDifference } from './source.ts'
import { v } from './text.ts'

interface Props {
  id: string
  version: number
  head: number
  onClose: () => void
  onDone: () => void
}

export function RestoreDialog({ id, version, head, onClose, onDone }: Props) {
  const command = useCommand(id)
  const [attributes, setAttributes] = useState(false)
  const { data } = useLoad(`restore ${id} ${version} ${head}`, (signal) =>
    getDifference(id, 'head', String(version), signal),
  )
  const counts = data === undefined ? undefined : compare(data).counts
  const confirm = async (): Promise<void> => {
    const include = attributes ? { include: ['attributes', 'viewport'] } : {}
    await command.run('RESTORE_VERSION', { to: version, ...include }, `Restored ${v(version)}`)
    onDone()
    onClose()
  }
  return (
    <ConfirmDialog
      title={`Restore ${v(version)}`}
      action={`Restore ${v(version)}`}
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
      {command.error !== undefined && <ProblemView error={command.error} />}
    </ConfirmDialog>
  )
}
