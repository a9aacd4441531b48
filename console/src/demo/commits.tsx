/** What happened, newest first: version, who, what, when. Each row leads to that version in the console. */
import { useCallback, useRef, useSyncExternalStore } from 'react'
import { describe } from '../graph/describe.ts'
import { cut, labelOf } from '../graph/text.ts'
import { graphLink, operationLink } from '../shared/links.ts'
import { basePath } from '../shared/place.ts'
import { clock } from '../shared/time.tsx'
import type { AuditedOperation } from '../shared/types.ts'
import type { Graphs, Pair } from './people.ts'
import { useCommits } from './use_commits.ts'

/** With its opener, the new tab is signed in as this one is. Both are the console's. */
const NEW_TAB = { target: '_blank', rel: 'opener' } as const

interface Props {
  pair: Pair
  graphs: Graphs
  graphId: string
}

export function Commits({ pair, graphs, graphId }: Props) {
  const operations = useCommits(graphs, graphId)
  // The names of nodes may come after the commits.
  useSyncExternalStore(
    useCallback((listener: () => void) => graphs.ada.subscribe(listener), [graphs]),
    () => graphs.ada.getSnapshot(),
  )
  const first = useRef<string | null>(null)
  first.current ??= operations[0]?.operationId ?? null
  const colorOf = (user: string): string => (user === 'ada' || user === 'bob' ? pair[user].color : '#5b6472')
  const name = (id: string): string => {
    const entity = [graphs.ada, graphs.bob]
      .map((graph) => graph.node(id) ?? graph.edge(id))
      .find((found) => found !== undefined)
    return entity === undefined ? id : labelOf(entity)
  }
  return (
    <section className="commits card" aria-labelledby="commits-title">
      <header className="panel-head">
        <h2 id="commits-title">Commits, as they happen</h2>
        <a className="spread" href={`${basePath}${graphLink(graphId)}`} {...NEW_TAB}>
          Open in the console<span className="hidden"> (new tab)</span> ↗
        </a>
      </header>
      <ol className="commits-list">
        {operations.map((operation, index) => (
          <li
            key={operation.operationId}
            className={index === 0 && operation.operationId !== first.current ? 'commit commit-new' : 'commit'}
            data-status={operation.status}
          >
            <a
              href={`${basePath}${linkOf(operation, graphId)}`}
              {...NEW_TAB}
              title={operation.status === 'completed' ? 'The graph as it was then' : 'Why it was refused'}
            >
              <span className="commit-version">{operation.status === 'completed' ? `v${operation.version}` : '✕'}</span>
              <span className="commit-who">
                <i style={{ background: colorOf(operation.userId) }} aria-hidden="true" />
                {operation.userId}
              </span>
              <span className="commit-what">{wordsOf(operation, name)}</span>
              <time dateTime={new Date(operation.timestamp).toISOString()}>{clock(operation.timestamp)}</time>
            </a>
          </li>
        ))}
      </ol>
    </section>
  )
}

const linkOf = ({ status, version, operationId }: AuditedOperation, graphId: string): string =>
  status === 'completed' ? graphLink(graphId, version) : operationLink(operationId, graphId)

function wordsOf(operation: AuditedOperation, name: (id: string) => string): string {
  const { status, error } = operation
  if (status !== 'completed') return `refused: ${error?.code ?? status}. Nothing was written`
  return renamed(operation) ?? describe(operation, name)
}

/** The new name says more than the field's. */
function renamed({ events, undoes, restores }: AuditedOperation): string | null {
  const [event, more] = events
  if (event?.type !== 'NodeUpdated' || more !== undefined || undoes !== undefined || restores !== undefined) return null
  const data = (event.patch as { data?: { label?: unknown } }).data
  return typeof data?.label === 'string' ? `renamed a step to “${cut(data.label, 40)}”` : null
}
