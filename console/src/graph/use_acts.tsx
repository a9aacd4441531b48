/** The "more" menu of a graph and its dialogs. */
import { type ReactNode, useState } from 'react'
import { type ApiError, download } from '../shared/api.ts'
import { Dialog } from '../shared/dialog.tsx'
import { CopyDialog, LabelDialog, RecoverDialog, TrashDialog } from '../shared/graph_dialogs.tsx'
import { graphLink } from '../shared/links.ts'
import { ProblemView } from '../shared/problem.tsx'
import type { MenuItem } from '../shared/ui.tsx'
import { asApiError } from '../shared/use_load.ts'
import type { Placed } from './place.ts'
import { RestoreDialog } from './restore_dialog.tsx'
import { graphPath } from './source.ts'
import { v } from './text.ts'
import type { GraphRow } from './wire_types.ts'

type Open =
  | { kind: 'restore' | 'label' | 'copy'; version: number }
  | { kind: 'trash' | 'recover' }
  | { kind: 'failed'; error: ApiError }
  | null

export interface Acts {
  readonly menu: readonly MenuItem[]
  readonly dialog: ReactNode
  readonly restore: ((version: number) => void) | undefined
  readonly label: ((version: number) => void) | undefined
}

export function useActs({
  id,
  row,
  version,
  head,
  isHead,
  isUnlocked,
  reload,
  placed,
}: {
  id: string
  row: GraphRow
  version: number
  head: number
  isHead: boolean
  isUnlocked: boolean
  reload: () => void
  placed: Placed
}): Acts {
  const [open, setOpen] = useState<Open>(null)
  const close = (): void => setOpen(null)
  const isTrashed = row.trashed !== undefined
  const save = async (): Promise<void> => {
    try {
      await download(graphPath(id, '/document'), `${id}.json`, { query: { at: version } })
    } catch (failure) {
      setOpen({ kind: 'failed', error: asApiError(failure) })
    }
  }
  const locked = isUnlocked ? {} : { disabled: true, title: 'Unlock editing first' }
  const needsAdmin = row.access === 'admin' ? locked : { disabled: true, title: 'Needs the right admin' }
  const menu: MenuItem[] = [
    { label: 'Download as JSON', run: () => void save() },
    { label: `Label ${v(version)}…`, run: () => setOpen({ kind: 'label', version }), ...locked },
    ...(isHead || version === 0
      ? []
      : [{ label: `Restore ${v(version)}…`, run: () => setOpen({ kind: 'restore', version }), ...locked }]),
    { label: `Copy ${v(version)} to a new graph…`, run: () => setOpen({ kind: 'copy', version }), ...locked },
    isTrashed
      ? {
          label: 'Recover…',
          run: () => setOpen({ kind: 'recover' }),
          ...needsAdmin,
          ...(row.access === 'admin' ? { disabled: false } : {}),
        }
      : { label: 'Move to the trash…', danger: true, run: () => setOpen({ kind: 'trash' }), ...needsAdmin },
  ]
  const restored = (): void => {
    reload()
    placed.go({ at: null })
  }
  return {
    menu,
    dialog: dialogOf(),
    restore: isUnlocked ? (of) => setOpen({ kind: 'restore', version: of }) : undefined,
    label: isUnlocked ? (of) => setOpen({ kind: 'label', version: of }) : undefined,
  }

  function dialogOf(): ReactNode {
    switch (open?.kind) {
      case 'restore':
        return <RestoreDialog id={id} version={open.version} head={head} onClose={close} onDone={restored} />
      case 'label':
        return <LabelDialog row={row} version={open.version} onClose={close} onDone={reload} />
      case 'copy':
        return (
          <CopyDialog row={row} version={open.version} onClose={close} onDone={(to) => placed.open(graphLink(to))} />
        )
      case 'trash':
        return <TrashDialog row={row} onClose={close} onDone={reload} />
      case 'recover':
        return <RecoverDialog row={row} onClose={close} onDone={reload} />
      case 'failed':
        return (
          <Dialog title="Download" onClose={close}>
            <div className="dialog-body">
              <ProblemView error={open.error} onRetry={() => void save()} />
            </div>
          </Dialog>
        )
      case undefined:
        return null
    }
  }
}
