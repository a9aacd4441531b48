/** Who did what, and what was refused: of all graphs, or of one. */
import { useRef } from 'react'
import { Link } from 'wouter'
import { describe } from '../graph/describe.ts'
import { get } from '../shared/api.ts'
import { count, counted } from '../shared/format.ts'
import { isGraphId } from '../shared/graph_ids.ts'
import { graphLink, operationLink, seg } from '../shared/links.ts'
import { LookFurther } from '../shared/look_further.tsx'
import { ProblemView, StaleNote } from '../shared/problem.tsx'
import { mayAll, useSession } from '../shared/session.ts'
import { Time } from '../shared/time.tsx'
import { useTitle } from '../shared/title.ts'
import type { AuditedOperation, Operations } from '../shared/types.ts'
import { Empty, Loading, Status, User } from '../shared/ui.tsx'
import { usePages } from '../shared/use_pages.ts'
import { useParams } from '../shared/use_params.ts'
import { VirtualRows } from '../shared/virtual_rows.tsx'
import { Filters, NAMES } from './filters.tsx'
import './operations.css'

const EVERY_MS = 10_000
const PAGE = 100
const ROW = 52

export function OperationsPage() {
  useTitle('Operations')
  const [params, set] = useParams()
  const everywhere = mayAll(useSession())
  const scroller = useRef<HTMLElement>(null)
  const query = Object.fromEntries(NAMES.map((name) => [name, params.get(name)]))
  const { graphs, ...others } = query
  const one = graphs !== null && graphs !== undefined && isGraphId(graphs) ? graphs : null
  const list = usePages<AuditedOperation>({
    key: JSON.stringify(query),
    every: EVERY_MS,
    when: everywhere || one !== null,
    idOf: ({ operationId, graphId }) => `${graphId}/${operationId}`,
    load: async (cursor, signal) => {
      // The operations of one graph go back to its beginning, those of all as far as the feed does (A1).
      const path = one === null ? 'operations' : `graphs/${seg(one)}/operations`
      const filter = one === null ? query : others
      const page = await get<Operations>(path, { query: { ...filter, limit: PAGE, cursor }, signal })
      const items = one === null ? page.operations : page.operations.map((item) => ({ ...item, graphId: one }))
      return { items, nextCursor: page.nextCursor }
    },
  })
  const rows = list.items
  const filtered = NAMES.some((name) => params.get(name) !== null)
  return (
    <main className="page" ref={scroller}>
      <div className="page-head">
        <h1>Operations</h1>
        <span className="sub" role="status">
          {list.asOf !== undefined && (
            <>
              {list.more ? `The latest ${count(rows.length)}` : counted(rows.length, 'operation')}
              {one === null ? ' of all graphs, of the last days' : ` of ${one}`}, as of <Time at={list.asOf} />
            </>
          )}
        </span>
      </div>
      <Filters params={params} set={set} everywhere={everywhere} />
      {!everywhere && one === null && (
        <Empty title="Choose a graph">
          <p>Type the id of a graph. A list of the operations of all graphs needs admin on all of them.</p>
        </Empty>
      )}
      {list.error !== undefined &&
        (rows.length === 0 ? (
          <ProblemView error={list.error} onRetry={list.reload} />
        ) : (
          <StaleNote error={list.error} asOf={<Time at={list.asOf!} exact />} onRetry={list.reload} />
        ))}
      {list.first && list.error === undefined && (everywhere || one !== null) && <Loading what="operations" />}
      {rows.length > 0 && (
        <div className={`table-wrap card ${list.error === undefined ? '' : 'is-stale'}`}>
          <table className="table fixed operations" aria-label="Operations" aria-rowcount={rows.length + 1}>
            <thead>
              <tr aria-rowindex={1}>
                <th className="col-time">When</th>
                <th className="col-user">Who</th>
                <th>What</th>
                <th className="col-graph">Graph</th>
                <th className="col-version number">Version</th>
                <th className="col-outcome">Outcome</th>
                <th className="col-open">
                  <span className="hidden">Open</span>
                </th>
              </tr>
            </thead>
            <VirtualRows
              items={rows}
              idOf={(row) => `${row.graphId}/${row.operationId}`}
              height={ROW}
              scroller={scroller}
              onEnd={list.loadMore}
              row={(row, index) => <Row key={`${row.graphId}/${row.operationId}`} row={row} index={index} />}
            />
          </table>
        </div>
      )}
      <LookFurther list={list} what="operations" />
      {!list.first && rows.length === 0 && !list.more && list.error === undefined && (
        <Empty title={filtered ? 'No operation matches' : 'Nothing has happened yet'}>
          <p>Operations that changed nothing, and requests that could not be read, are not kept.</p>
        </Empty>
      )}
    </main>
  )
}

function Row({ row, index }: { row: AuditedOperation; index: number }) {
  const graphId = row.graphId!
  return (
    <tr aria-rowindex={index}>
      <td>
        <Time at={row.timestamp} />
      </td>
      <td>
        <User id={row.userId} />
      </td>
      <td className="what">
        {row.error === undefined ? (
          describe(row)
        ) : (
          <>
            <span className="quiet">wanted </span>
            <code>{row.commandType}</code>
            <span className="quiet">: {row.error.detail}</span>
          </>
        )}
      </td>
      <td>
        <Link href={graphLink(graphId)}>
          <code>{graphId}</code>
        </Link>
      </td>
      <td className="number">
        <Link href={graphLink(graphId, row.version)}>v{count(row.version)}</Link>
      </td>
      <td>
        <Outcome row={row} />
      </td>
      <td className="number">
        <Link href={operationLink(row.operationId, graphId, row.version)} title={row.operationId}>
          {row.error === undefined ? 'details' : 'why'}
          <span className="hidden">: operation {row.operationId}</span>
        </Link>
      </td>
    </tr>
  )
}

export function Outcome({ row }: { row: Pick<AuditedOperation, 'status' | 'error'> & { outcome?: string | null } }) {
  if (row.status === 'completed')
    return <Status tone={row.outcome === 'merged' ? 'info' : 'ok'}>{row.outcome ?? 'completed'}</Status>
  return <Status tone={row.status === 'conflict' ? 'bad' : 'warn'}>{row.error?.code ?? row.status}</Status>
}
