/** Two versions beside each other (K6): one canvas with rings and ghosts, and a list. */

import type { GraphEdge, GraphNode } from '@dao-api/client'
import { useCallback, useEffect, useMemo, useRef, useState } from 'react'
import { Link, useLocation } from 'wouter'
import { save } from '../shared/api.ts'
import { counted } from '../shared/format.ts'
import { useKeys } from '../shared/keys.ts'
import { compareLink, graphLink } from '../shared/links.ts'
import { ProblemView } from '../shared/problem.tsx'
import { CopyButton, Empty, Loading } from '../shared/ui.tsx'
import { useUnlock } from '../shared/unlock.ts'
import { UnlockDialog } from '../shared/unlock_dialog.tsx'
import { useLoad } from '../shared/use_load.ts'
import { addressOf, namedBy } from '../shared/when.ts'
import { type Chosen, FlowCanvas } from './canvas/flow_canvas.tsx'
import { ReceiptList, ReceiptsProvider } from './commands.tsx'
import { type Comparison, compare, type Mark, neighbour, SIGNS, shown } from './compare.ts'
import { CompareList } from './compare_list.tsx'
import { UnlockButton } from './graph_header.tsx'
import { labelMarks } from './histogram.ts'
import { Past } from './past.ts'
import { RestoreDialog } from './restore_dialog.tsx'
import { getAuthors, getDifference, getRemovers, getRow, pastSource, type Removers } from './source.ts'
import { labelOf, v } from './text.ts'
import { undoLater } from './undo_later.ts'
import { whyLocked } from './why_locked.ts'

export function ComparePage({ id, from, to }: { id: string; from: string; to: string }) {
  return (
    <ReceiptsProvider>
      <Page id={id} from={from} to={to} />
    </ReceiptsProvider>
  )
}

function Page({ id, from, to }: { id: string; from: string; to: string }) {
  const row = useLoad(`row ${id}`, (signal) => getRow(id, signal))
  const past = useMemo(() => new Past(pastSource(id)), [id])
  const loaded = useLoad(`compare ${id} ${from} ${to}`, async (signal) => {
    const difference = await getDifference(id, from, to, signal)
    const [moment, authors] = await Promise.all([
      past.at(difference.to),
      difference.to >= difference.from ? getAuthors(id, difference.to, signal) : Promise.resolve({}),
    ])
    const [low, high] = [difference.from, difference.to]
    const removed = [
      ...difference.nodes.removed.map(({ id }) => ({ kind: 'node' as const, id })),
      ...difference.edges.removed.map(({ id }) => ({ kind: 'edge' as const, id })),
    ]
    const removers = low < high ? await getRemovers(id, removed, low, high, signal) : NOBODY
    return { difference, moment, authors, removers }
  })
  const [, navigate] = useLocation()
  const { data } = loaded
  const comparison = useMemo(() => data && compareAll(data), [data])
  const [hides, setHides] = useState<boolean | null>(null)
  const hidesMoves = hides ?? comparison?.hidesMoves ?? false
  const rows = useMemo(() => (comparison ? shown(comparison, hidesMoves) : []), [comparison, hidesMoves])
  const [key, setKey] = useState<string | null>(null)
  const [restoring, setRestoring] = useState(false)
  const [isUnlocked] = useUnlock(id)
  const isLocked = !isUnlocked && whyLocked(row.data) !== null
  const step = useCallback((by: 1 | -1) => setKey((now) => neighbour(rows, now, by)?.key ?? null), [rows])
  useKeys([
    { keys: 'n', label: 'Next change', group: 'Compare', run: () => step(1) },
    { keys: 'p', label: 'Previous change', group: 'Compare', run: () => step(-1) },
    { keys: 'm', label: 'Hide or show moves', group: 'Compare', run: () => setHides(!hidesMoves) },
    { keys: 'x', label: 'Swap the sides', group: 'Compare', run: () => navigate(compareLink(id, to, from)) },
  ])
  useEffect(() => {
    document.title = `Compare ${from} with ${to} · ${id}`
  }, [id, from, to])
  const names = ['now', ...(row.data ? labelMarks(row.data.labels).map(({ name }) => name) : [])]
  return (
    <main className="gp gp-compare">
      <header className="gp-head">
        <Link href={graphLink(id)} className="gp-up">
          {id}
        </Link>
        <span aria-hidden="true" className="quiet">
          /
        </span>
        <h1>Compare</h1>
        <Side label="from" value={from} names={names} onChange={(next) => navigate(compareLink(id, next, to))} />
        <button
          type="button"
          className="icon"
          aria-label="Swap the sides"
          onClick={() => navigate(compareLink(id, to, from))}
        >
          ⇄
        </button>
        <Side label="to" value={to} names={names} onChange={(next) => navigate(compareLink(id, from, next))} />
        {comparison !== undefined && data !== undefined && (
          <Counts
            comparison={comparison}
            hidesMoves={hidesMoves}
            setHides={setHides}
            from={data.difference.from}
            to={data.difference.to}
          />
        )}
        <span className="gp-grow" />
        <UnlockButton id={id} row={row.data} />
      </header>
      {loaded.error !== undefined && <ProblemView error={loaded.error} onRetry={loaded.reload} />}
      {data === undefined && loaded.error === undefined && <Loading what="the difference" />}
      {comparison !== undefined && data !== undefined && (
        <div className="gp-body">
          <DiffCanvas
            id={`${id} ${from} ${to}`}
            comparison={comparison}
            hidesMoves={hidesMoves}
            chosen={key}
            onChoose={setKey}
            {...data}
          />
          <aside className="gp-panel" aria-label="Changes">
            {comparison.rows.length === 0 ? (
              <Empty title="There is no difference">
                {v(data.difference.from)} and {v(data.difference.to)} have the same contents.
              </Empty>
            ) : (
              <CompareList id={id} rows={rows} chosen={key} onChoose={setKey} difference={data.difference} />
            )}
            <footer className="gp-compare-foot">
              <People comparison={comparison} isWhole={data.removers.isWhole} />
              <div className="row">
                <button
                  type="button"
                  disabled={isLocked || data.difference.from >= data.difference.to}
                  title={isLocked ? (whyLocked(row.data) ?? undefined) : undefined}
                  onClick={() => setRestoring(true)}
                >
                  Restore {v(data.difference.from)}…
                </button>
                <CopyButton text={location.href} label="Copy link to this comparison">
                  Copy link
                </CopyButton>
                <button
                  type="button"
                  className="link"
                  onClick={() =>
                    save(new Blob([JSON.stringify(data.difference, null, 2)]), `${id}_${from}..${to}.json`)
                  }
                >
                  Export diff
                </button>
              </div>
            </footer>
          </aside>
        </div>
      )}
      {restoring && !isUnlocked && (
        <UnlockDialog id={id} onUnlocked={() => undefined} onClose={() => setRestoring(false)} />
      )}
      {restoring && isUnlocked && data !== undefined && (
        <RestoreDialog
          id={id}
          version={data.difference.from}
          head={row.data?.version ?? data.difference.to}
          onClose={() => setRestoring(false)}
          onDone={(done) => {
            if (done !== null) undoLater(id, done, `Restore ${v(data.difference.from)}`)
            loaded.reload()
          }}
        />
      )}
      <ReceiptList id={id} />
    </main>
  )
}

interface Data {
  difference: Parameters<typeof compare>[0]
  moment: Awaited<ReturnType<Past['at']>>
  authors: Parameters<typeof compare>[1]
  removers: Removers
}

function compareAll({ difference, moment, authors, removers }: Data): Comparison {
  const names = new Map<string, string>()
  const nodes = [...moment.snapshot.nodes, ...difference.nodes.removed]
  for (const node of nodes) names.set(`node ${node.id}`, labelOf(node))
  for (const edge of [...moment.snapshot.edges, ...difference.edges.removed]) {
    const ends = [edge.source, edge.target].map((end) => names.get(`node ${end}`) ?? end).join(' → ')
    const label = labelOf(edge)
    names.set(`edge ${edge.id}`, label === edge.id ? ends : `${ends} (${label})`)
  }
  const isShared = (id: string): boolean => names.has(`node ${id}`) && names.has(`edge ${id}`)
  return compare(difference, authors, (kind, id) => names.get(`${kind} ${id}`), removers.found, isShared)
}

const NOBODY: Removers = { found: new Map(), isWhole: true }

/** One side: a label from the list, or anything that names a version. */
function Side({
  label,
  value,
  names,
  onChange,
}: {
  label: string
  value: string
  names: readonly string[]
  onChange: (value: string) => void
}) {
  const said = value === 'head' ? 'now' : value
  const [text, setText] = useState(said)
  useEffect(() => setText(said), [said])
  const apply = (): void => {
    // As it stands there, it is what the address says: a time that was resolved is not to be read again.
    const named = text === said ? null : namedBy(text, names.slice(1), Date.now())
    const next = named === null ? value : addressOf(named)
    if (next !== value) onChange(next)
    else setText(said)
  }
  const list = `gp-names-${label}`
  return (
    <form
      className="gp-side"
      onSubmit={(event) => {
        event.preventDefault()
        apply()
      }}
    >
      <label>
        <span className="quiet">{label}</span>{' '}
        <input
          value={text}
          list={list}
          size={12}
          spellCheck={false}
          onChange={(event) => setText(event.target.value)}
          onBlur={apply}
        />
      </label>
      <datalist id={list}>
        {names.map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
    </form>
  )
}

function Counts({
  comparison,
  hidesMoves,
  setHides,
  from,
  to,
}: {
  comparison: Comparison
  hidesMoves: boolean
  setHides: (hides: boolean) => void
  from: number
  to: number
}) {
  const { counts } = comparison
  return (
    <>
      <span className="quiet small-text">
        {v(from)} → {v(to)}
      </span>
      <ul className="gp-counts" aria-label="Changes">
        {(['added', 'removed', 'changed'] as const).map((mark) => (
          <li key={mark} className={`gp-text-${mark}`}>
            <b>{SIGNS[mark]}</b>
            {counts[mark]} {mark}
          </li>
        ))}
      </ul>
      {counts.moved > 0 && (
        <label className="check">
          <input type="checkbox" checked={!hidesMoves} onChange={(event) => setHides(!event.target.checked)} />
          <span className="gp-text-moved">
            <b>{SIGNS.moved}</b> {counted(counts.moved, 'move')}
            {hidesMoves ? ' hidden' : ''}
          </span>
        </label>
      )}
    </>
  )
}

function People({ comparison, isWhole }: { comparison: Comparison; isWhole: boolean }) {
  const known = comparison.people.reduce((sum, { rows }) => sum + rows, 0)
  if (known === 0 && isWhole) return null
  return (
    <p className="small-text">
      <span className="quiet">Last written by </span>
      {comparison.people.map(({ userId, rows }) => `${userId} ${rows}`).join(', ')}
      {known < comparison.rows.length && (
        <span className="quiet">; no writer known for {comparison.rows.length - known}</span>
      )}
      {!isWhole && <span className="quiet">. Not all deletions were looked up</span>}
    </p>
  )
}

/** The newer side, with ghosts of what was removed. */
function DiffCanvas({
  id,
  comparison,
  hidesMoves,
  chosen,
  onChoose,
  moment,
  difference,
}: Data & {
  id: string
  comparison: Comparison
  hidesMoves: boolean
  chosen: string | null
  onChoose: (key: string | null) => void
}) {
  const nodes = useMemo(
    () => [...moment.snapshot.nodes, ...(difference.nodes.removed as unknown as GraphNode[])],
    [moment, difference],
  )
  const edges = useMemo(
    () => [...moment.snapshot.edges, ...(difference.edges.removed as unknown as GraphEdge[])],
    [moment, difference],
  )
  const nodeMarks = useMemo(() => withoutMoves(comparison.nodes, hidesMoves), [comparison, hidesMoves])
  const [kind, ...rest] = (chosen ?? '').split(' ')
  const seen: Chosen | null = kind === 'node' || kind === 'edge' ? { kind, id: rest.join(' ') } : null
  const latest = useRef(onChoose)
  latest.current = onChoose
  const choose = useCallback(
    (next: Chosen | null) => latest.current(next === null ? null : `${next.kind} ${next.id}`),
    [],
  )
  return (
    <FlowCanvas
      nodes={nodes}
      edges={edges}
      nodeMarks={nodeMarks}
      edgeMarks={comparison.edges}
      chosen={seen}
      onChoose={choose}
      fitKey={id}
      label="The difference as a picture. The list beside it has the same as text."
    />
  )
}

function withoutMoves(marks: ReadonlyMap<string, Mark>, hides: boolean): ReadonlyMap<string, Mark> {
  return hides ? new Map([...marks].filter(([, mark]) => mark !== 'moved')) : marks
}
