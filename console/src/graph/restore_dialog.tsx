/** Restoring a version: what a graph's page can do and the list can't. */
import { useState } from 'react'
import { ConfirmDialog } from '../shared/dialog.tsx'
import { ProblemView } from '../shared/problem.tsx'
import { useLoad } from '../shared/use_load.ts'
import { type Done, useCommand } from './commands.tsx'
import { restoreWords } from './restored.ts'
import { getDifference } from './source.ts'
import { v } from './text.ts'

interface Props {
  id: string
  version: number
  head: number
  onClose: () => void
  /** The operation that restored it. Null: nothing had to change. */
  onDone: (done: Done | null) => void
  /** Undo from the message that tells of it; without it, the server is asked to take back the operation. */
  undo?: ((done: Done) => boolean) | undefined
}

export function RestoreDialog({ id, version, head, onClose, onDone, undo }: Props) {
  const command = useCommand(id)
  const [rest, setRest] = useState(false)
  const { data, error } = useLoad(`restore ${id} ${version} ${head}`, (signal) =>
    getDifference(id, 'head', String(version), signal),
  )
  const confirm = async (): Promise<void> => {
    const include = rest ? { include: ['attributes', 'viewport'] } : {}
    onDone(await command.run('RESTORE_VERSION', { to: version, ...include }, `Restored ${v(version)}`, undo))
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
      <p role="status">
        {data !== undefined
          ? restoreWords(data, version, rest)
          : error === undefined
            ? 'Looking what it changes…'
            : 'What it changes can’t be told now.'}
      </p>
      <label className="check">
        <input type="checkbox" checked={rest} onChange={(event) => setRest(event.target.checked)} />
        also title, tags and the other attributes, and the viewport
      </label>
      {command.error !== undefined && <ProblemView error={command.error} />}
    </ConfirmDialog>
  )
}
