/** The page of one graph: what it is, what it was, who made it so. */
import { useEffect } from 'react'
import { useLocation } from 'wouter'
import { graphLink, parseCompare } from '../shared/links.ts'
import { ProblemView } from '../shared/problem.tsx'
import { Empty, Loading } from '../shared/ui.tsx'
import { useLoad } from '../shared/use_load.ts'
import { ReceiptList, ReceiptsProvider } from './commands.tsx'
import { ComparePage } from './compare_page.tsx'
import './canvas/canvas.css'
import './panel/panel.css'
import './panel/lists.css'
import './outline_slider.css'
import './compare.css'
import './graph.css'
import { GraphView } from './graph_view.tsx'
import { getRow } from './source.ts'
import { useHead } from './use_head.ts'

interface GraphPageProps {
  id: string
  /** A version, label or time (L13); null is the head. */
  at: string | null
  /** What follows in the path, like `compare/3..5`; see `parseCompare` in shared/links.ts. */
  sub: string | null
}

export default function GraphPage({ id, at, sub }: GraphPageProps) {
  const range = parseCompare(sub)
  if (range !== null) return <ComparePage id={id} from={range.from} to={range.to} />
  if (sub !== null) return <Unknown id={id} sub={sub} />
  return (
    <ReceiptsProvider>
      <Graph id={id} at={at} />
      <ReceiptList id={id} />
    </ReceiptsProvider>
  )
}

function Unknown({ id, sub }: { id: string; sub: string }) {
  const [, navigate] = useLocation()
  return (
    <main className="page">
      <h1>{id}</h1>
      <Empty title="There is no such page">
        <p>
          A graph has nothing at <code>{sub}</code>.
        </p>
        <button type="button" onClick={() => navigate(graphLink(id))}>
          Open the graph
        </button>
      </Empty>
    </main>
  )
}

function Graph({ id, at }: { id: string; at: string | null }) {
  const row = useLoad(`row ${id}`, (signal) => getRow(id, signal), { every: 30_000 })
  // The graph is on its way while the row is: what is in the trash is not followed, once that is known.
  // A poll that fails says nothing about the graph, unless the server says that it is gone or may not be read.
  const isGone = row.error?.status === 403 || row.error?.status === 404
  const head = useHead(id, !isGone && row.data?.trashed === undefined)
  const title = row.data?.attributes.title
  useEffect(() => {
    document.title = `${typeof title === 'string' && title !== '' ? title : id}${at === null ? '' : ` @ ${at}`} · dao-api`
  }, [id, at, title])
  if (row.data === undefined) {
    return (
      <main className="page">
        <h1>{id}</h1>
        {row.error === undefined ? <Loading what={id} /> : <ProblemView error={row.error} onRetry={row.reload} />}
      </main>
    )
  }
  return (
    <GraphView
      id={id}
      at={at}
      head={head}
      row={row.data}
      rowAsOf={row.asOf ?? 0}
      rowError={row.error}
      reload={row.reload}
    />
  )
}
