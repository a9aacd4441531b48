/** The sockets and streams of the server that answers (N5): each, or counted by graph. */
import { useState } from 'react'
import { Link } from 'wouter'
import { get } from '../shared/api.ts'
import { count, counted } from '../shared/format.ts'
import { graphLink } from '../shared/links.ts'
import { ProblemView } from '../shared/problem.tsx'
import { Time } from '../shared/time.tsx'
import type { OpenConnection, Connections as Page } from '../shared/types.ts'
import { Status, User } from '../shared/ui.tsx'
import { useLoad } from '../shared/use_load.ts'

const EVERY_MS = 5_000
const PAGE = 200

export function Connections() {
  const [by, setBy] = useState<'connection' | 'graph'>('connection')
  const { data, error, reload } = useLoad(
    'connections',
    (signal) => get<Page>('connections', { query: { limit: PAGE }, signal }),
    {
      every: EVERY_MS,
    },
  )
  const list = data?.connections ?? []
  return (
    <section className="card panel" aria-labelledby="connections">
      <div className="row head">
        <h2 id="connections">Connections</h2>
        <span className="quiet">
          {data !== undefined && (
            <>
              {data.nextCursor === null ? '' : 'the first '}
              {counted(list.length, 'connection')} of the server that answered
            </>
          )}
        </span>
        <span className="spread row">
          {(['connection', 'graph'] as const).map((choice) => (
            <button key={choice} type="button" aria-pressed={by === choice} onClick={() => setBy(choice)}>
              By {choice}
            </button>
          ))}
        </span>
      </div>
      {error !== undefined && <ProblemView error={error} onRetry={reload} />}
      {data !== undefined && list.length === 0 && <p className="quiet">Nobody is connected to this server.</p>}
      {list.length > 0 && (
        <div className={`table-wrap ${error === undefined ? '' : 'is-stale'}`}>
          {by === 'graph' ? <ByGraph list={list} /> : <Each list={list} />}
        </div>
      )}
    </section>
  )
}

function Lag({ lag }: { lag: number | null }) {
  if (lag === null) return <span className="quiet">not in memory</span>
  return lag === 0 ? <Status tone="ok">0</Status> : <Status tone={lag > 1000 ? 'bad' : 'warn'}>{count(lag)}</Status>
}

const SHOWN = 3

function Each({ list }: { list: readonly OpenConnection[] }) {
  return (
    <table className="table" aria-label="Connections">
      <thead>
        <tr>
          <th>User</th>
          <th>By</th>
          <th>Client</th>
          <th>Graphs</th>
          <th>Since</th>
          <th className="number">Commits behind</th>
        </tr>
      </thead>
      <tbody>
        {list.map((one) => (
          <tr key={one.connectionId}>
            <td>
              <User id={one.userId} />
            </td>
            <td>{one.transport}</td>
            <td>
              <code>{one.clientId ?? ''}</code>
            </td>
            <td>
              {one.allGraphs === true && 'all graphs '}
              {one.graphs.slice(0, SHOWN).map(({ graphId }) => (
                <Link key={graphId} href={graphLink(graphId)} className="graph-link">
                  {graphId}
                </Link>
              ))}
              {one.graphs.length > SHOWN && `and ${one.graphs.length - SHOWN} others`}
            </td>
            <td>
              <Time at={one.since} />
            </td>
            <td className="number">{one.graphs.length > 0 && <Lag lag={worst(one.graphs.map(({ lag }) => lag))} />}</td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

const worst = (lags: readonly (number | null)[]): number | null => {
  const known = lags.filter((lag) => lag !== null)
  return known.length === 0 ? null : Math.max(...known)
}

function ByGraph({ list }: { list: readonly OpenConnection[] }) {
  const graphs = new Map<string, { users: Set<string>; connections: number; lags: (number | null)[] }>()
  for (const one of list)
    for (const { graphId, lag } of one.graphs) {
      const row = graphs.get(graphId) ?? { users: new Set(), connections: 0, lags: [] }
      row.users.add(one.userId)
      row.connections++
      row.lags.push(lag)
      graphs.set(graphId, row)
    }
  const rows = [...graphs].sort(([, a], [, b]) => b.connections - a.connections)
  return (
    <table className="table" aria-label="Connections by graph">
      <thead>
        <tr>
          <th>Graph</th>
          <th className="number">Connections</th>
          <th>Users</th>
          <th className="number">Commits behind, at most</th>
        </tr>
      </thead>
      <tbody>
        {rows.map(([graphId, { users, connections, lags }]) => (
          <tr key={graphId}>
            <td>
              <Link href={graphLink(graphId)}>{graphId}</Link>
            </td>
            <td className="number">{count(connections)}</td>
            <td>{[...users].join(', ')}</td>
            <td className="number">
              <Lag lag={worst(lags)} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}
