/** All graphs that the user may read. */
import { useRef, useState } from 'react'
import { useLocation } from 'wouter'
import { get } from '../shared/api.ts'
import { counted } from '../shared/format.ts'
import { CopyDialog, LabelDialog, RecoverDialog, TrashDialog } from '../shared/graph_dialogs.tsx'
import { useKeys } from '../shared/keys.ts'
import { graphLink, operationsLink } from '../shared/links.ts'
import { LookFurther } from '../shared/look_further.tsx'
import { ProblemView, StaleNote } from '../shared/problem.tsx'
import { mayOn, mayWriteSomething, useSession } from '../shared/session.ts'
import { Time } from '../shared/time.tsx'
import { useTitle } from '../shared/title.ts'
import type { GraphList, GraphRow } from '../shared/types.ts'
import { Empty, Loading, type MenuItem } from '../shared/ui.tsx'
import { useUnlock } from '../shared/unlock.ts'
import { UnlockButton } from '../shared/unlock_button.tsx'
import { type Pages, usePages } from '../shared/use_pages.ts'
import { useParams } from '../shared/use_params.ts'
import { toggled, useSelection } from '../shared/use_selection.ts'
import { useSettle } from '../shared/use_settle.ts'
import { BulkBar } from './bulk_bar.tsx'
import { CreateDialog, EditDialog, PurgeDialog } from './dialogs.tsx'
import { Filters } from './filters.tsx'
import { GraphTable } from './table.tsx'
import { useHere } from './use_here.ts'
import './graphs.css'

const EVERY_MS = 10_000
const PAGE = 100
const FILTERS = ['q', 'prefix', 'tag', 'owner', 'label', 'trashed', 'sort', 'order'] as const
const DIALOGS = {
  copy: CopyDialog,
  edit: EditDialog,
  label: LabelDialog,
  trash: TrashDialog,
  recover: RecoverDialog,
  purge: PurgeDialog,
}

type RowDialogName = keyof typeof DIALOGS
type Open = { name: 'create' } | { name: RowDialogName; row: GraphRow }

export function GraphsPage() {
  useTitle('Graphs')
  const [params, set] = useParams()
  const scroller = useRef<HTMLElement>(null)
  const search = useRef<HTMLInputElement>(null)
  const [unlocked, setUnlocked] = useUnlock('graphs')
  const [open, setOpen] = useState<Open | null>(null)
  const session = useSession()
  const here = useHere()
  const asOf = useRef(0)
  const query = Object.fromEntries(FILTERS.map((name) => [name, params.get(name)]))
  const list = usePages<GraphRow>({
    key: JSON.stringify(query),
    every: EVERY_MS,
    idOf: (row) => row.graphId,
    load: async (cursor, signal) => {
      const page = await get<GraphList>('graphs', { query: { ...query, limit: PAGE, cursor }, signal })
      asOf.current = page.asOf
      return { items: page.graphs, nextCursor: page.nextCursor }
    },
  })
  const settle = useSettle(list.reload)
  const rows = list.items
  const [selected, setSelected] = useSelection(rows.map(({ graphId }) => graphId))
  const chosen = unlocked ? rows.filter(({ graphId }) => selected.has(graphId)) : []
  const filtered = FILTERS.slice(0, 6).some((name) => params.get(name) !== null)
  useKeys([
    { keys: '/', label: 'Search', group: 'Graphs', run: () => search.current?.focus() },
    { keys: 'j', label: 'Next graph', group: 'Graphs', run: () => step(scroller.current, 1) },
    { keys: 'k', label: 'Previous graph', group: 'Graphs', run: () => step(scroller.current, -1) },
  ])
  const menuOf = useMenu(unlocked, setOpen)
  const close = (): void => setOpen(null)
  const RowDialog = open === null || open.name === 'create' ? null : DIALOGS[open.name]
  return (
    <main className="page" ref={scroller}>
      <div className="page-head">
        <h1>Graphs</h1>
        <HowMany list={list} />
        <span className="spread row">
          {unlocked && (
            <button type="button" className="primary" onClick={() => setOpen({ name: 'create' })}>
              New graph
            </button>
          )}
          <UnlockButton allowed={mayWriteSomething(session)} unlocked={unlocked} setUnlocked={setUnlocked} />
        </span>
      </div>
      <Filters params={params} set={set} rows={rows} search={search} />
      <BulkBar rows={chosen} onClear={() => setSelected(new Set())} onDone={settle} />
      {list.error !== undefined &&
        (rows.length === 0 ? (
          <ProblemView error={list.error} onRetry={list.reload} />
        ) : (
          <StaleNote error={list.error} asOf={<Time at={list.asOf!} exact />} onRetry={list.reload} />
        ))}
      {list.first && list.error === undefined && <Loading what="graphs" />}
      {rows.length > 0 && (
        <div className={list.error === undefined ? '' : 'is-stale'}>
          <GraphTable
            rows={rows}
            scroller={scroller}
            here={here}
            unlocked={unlocked}
            selected={selected}
            onSelect={(graphId, on) => setSelected(toggled(selected, graphId, on))}
            onTag={(tag) => set({ tag }, 'push')}
            menuOf={menuOf}
            onEnd={list.loadMore}
          />
        </div>
      )}
      <LookFurther list={list} what="graphs" />
      {!list.first && rows.length === 0 && !list.more && list.error === undefined && (
        <Nothing
          filtered={filtered}
          unlocked={unlocked}
          onCreate={() => setOpen({ name: 'create' })}
          onClear={() => set(Object.fromEntries(FILTERS.map((name) => [name, null])))}
        />
      )}
      {open?.name === 'create' && <CreateDialog onClose={close} onDone={settle} />}
      {open !== null && open.name !== 'create' && RowDialog !== null && (
        <RowDialog row={open.row} onClose={close} onDone={settle} />
      )}
    </main>
  )
}

/** Moves the focus among the links of the rows. */
function step(page: HTMLElement | null, by: 1 | -1): void {
  const links = [...(page?.querySelectorAll<HTMLElement>('.graph-title') ?? [])]
  const now = links.indexOf(document.activeElement as HTMLElement)
  links[now === -1 ? (by === 1 ? 0 : links.length - 1) : now + by]?.focus()
}

function HowMany({ list }: { list: Pages<GraphRow> }) {
  if (list.asOf === undefined) return null
  const known = counted(list.items.length, 'graph')
  return (
    <span className="sub" role="status">
      {list.more ? `The first ${known} that you may read` : `${known} that you may read`}, as of <Time at={list.asOf} />
    </span>
  )
}

function useMenu(unlocked: boolean, open: (what: Open) => void): (row: GraphRow) => MenuItem[] {
  const [, navigate] = useLocation()
  const session = useSession()
  return (row) => {
    const admin = mayOn(row.graphId, 'admin', session)
    const write = mayOn(row.graphId, 'write', session)
    const item = (label: string, name: RowDialogName, allowed: boolean, danger = false): MenuItem => ({
      label,
      danger,
      why: allowed ? null : `You have ${row.access} on this graph.`,
      run: () => open({ name, row }),
    })
    const look: MenuItem[] = [
      { label: 'Open', run: () => navigate(graphLink(row.graphId)) },
      { label: 'Operations', run: () => navigate(operationsLink({ graphs: row.graphId })) },
    ]
    if (!unlocked) return look
    if (row.trashed !== undefined)
      return [...look, item('Recover…', 'recover', admin), item('Purge…', 'purge', admin, true)]
    return [
      ...look,
      item('Title and tags…', 'edit', write),
      item('Copy…', 'copy', true),
      item('Label a version…', 'label', write),
      item('Move to the trash…', 'trash', admin, true),
    ]
  }
}

function Nothing({
  filtered,
  unlocked,
  onCreate,
  onClear,
}: {
  filtered: boolean
  unlocked: boolean
  onCreate: () => void
  onClear: () => void
}) {
  if (filtered)
    return (
      <Empty title="No graph matches">
        <p>Other graphs may be in the trash, or outside of what you may read.</p>
        <p>
          <button type="button" onClick={onClear}>
            Remove all filters
          </button>
        </p>
      </Empty>
    )
  return (
    <Empty title="There are no graphs that you may read">
      <p>
        An editor creates a graph with its first change. For an example with a history, stop the server and run{' '}
        <code>dao-api seed</code>.
      </p>
      {unlocked && (
        <p>
          <button type="button" className="primary" onClick={onCreate}>
            New graph
          </button>
        </p>
      )}
    </Empty>
  )
}
