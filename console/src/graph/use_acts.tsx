/** The "more" menu of a graph and its dialogs. */
import type { Graph } from '@dao-api/client'
import { type ReactNode, useState } from 'react'
import { type ApiError, download } from '../shared/api.ts'
import { Dialog } from '../shared/dialog.tsx'
import { CopyDialog, LabelDialog, RecoverDialog, TrashDialog } from '../shared/graph_dialogs.tsx'
import { graphLink } from '../shared/links.ts'
import { ProblemView } from '../shared/problem.tsx'
import type { MenuItem } from '../shared/ui.tsx'
import { UnlockDialog } from '../shared/unlock_dialog.tsx'
import { asApiError } from '../shared/use_load.ts'
import type { Done } from './commands.tsx'
import type { Placed } from './place.ts'
import { RestoreDialog } from './restore_dialog.tsx'
import { graphPath } from './source.ts'
import { v } from './text.ts'
import { whyLocked } from './why_locked.ts'
import type { GraphRow } from './wire_types.ts'

type Open =
  | { kind: 'restore' | 'label' | 'copy'; version: number }
  | { kind: 'trash' | 'recover' }
  | { kind: 'failed'; error: ApiError }
  /** Asked first while editing is locked. */
  | { kind: 'unlock'; next: Open }
  | null

export interface Acts {
  readonly menu: readonly MenuItem[]
  readonly dialog: ReactNode
  /** Asks to unlock first, if need be. */
  readonly restore: (version: number) => void
  readonly label: (version: number) => void
  /** Why neither can be done; null if they can. */
  readonly why: string | null
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
  graph,
}: {
  id: string
  row: GraphRow
  version: number
  head: number
  isHead: boolean
  isUnlocked: boolean
  reload: () => void
  placed: Placed
  graph: Graph | null
}): Acts {
  const [open, setOpen] = useState<Open>(null)
  const write = (next: Open): void => setOpen(isUnlocked ? next : { kind: 'unlock', next })
  const close = (): void => setOpen(null)
  const isTrashed = row.trashed !== undefined
  const save = async (): Promise<void> => {
    try {
      await download(graphPath(id, '/document'), `${id}.json`, { query: { at: version } })
    } catch (failure) {
      setOpen({ kind: 'failed', error: asApiError(failure) })
    }
  }
  const why = isUnlocked ? null : whyLocked(row)
  const needsAdmin = row.access === 'admin' ? (isTrashed ? null : why) : 'Needs the right admin'
  const menu: MenuItem[] = [
    { label: 'Download as JSON', run: () => void save() },
    { label: `Label ${v(version)}…`, run: () => write({ kind: 'label', version }), why },
    ...(isHead || version === 0
      ? []
      : [{ label: `Restore ${v(version)}…`, run: () => write({ kind: 'restore', version }), why }]),
    { label: `Copy ${v(version)} to a new graph…`, run: () => write({ kind: 'copy', version }), why },
    isTrashed
      ? { label: 'Recover…', run: () => setOpen({ kind: 'recover' }), why: needsAdmin }
      : { label: 'Move to the trash…', danger: true, run: () => write({ kind: 'trash' }), why: needsAdmin },
  ]
  const nameOf = (of: number): string => `Restore ${v(of)}`
  const restored = (of: number, done: Done | null): void => {
    if (done !== null) graph?.addUndoStep(done, nameOf(of))
    reload()
    placed.go({ at: null })
  }
  /** By the stack of undo, if nothing was done since: then its button and keys know of it. */
  const takeBack = (of: number): boolean => {
    if (graph === null || graph.history.undoLabel !== nameOf(of)) return false
    const undone = graph.undo()
    undone?.catch(() => undefined)
    return undone !== null
  }
  return {
    menu,
    dialog: dialogOf(),
    restore: (of) => write({ kind: 'restore', version: of }),
    label: (of) => write({ kind: 'label', version: of }),
    why,
  }

  function dialogOf(): ReactNode {
    switch (open?.kind) {
      case 'restore':
        return (
          <RestoreDialog
            id={id}
            version={open.version}
            head={head}
            onClose={close}
            onDone={(done) => restored(open.version, done)}
            undo={() => takeBack(open.version)}
          />
        )
      case 'unlock':
        return <UnlockDialog id={id} onUnlocked={() => setOpen(open.next)} onClose={close} />
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
