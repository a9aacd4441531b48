/** Whether the server is well: readiness, projections, connections, a few metrics, version and licences. */
import { Link } from 'wouter'
import { ApiError, get, getText } from '../shared/api.ts'
import { Figure } from '../shared/figure.tsx'
import { bytes, count, counted } from '../shared/format.ts'
import { graphLink } from '../shared/links.ts'
import { apiRoot } from '../shared/place.ts'
import { ProblemView } from '../shared/problem.tsx'
import { mayAll, useSession } from '../shared/session.ts'
import { duration, Time } from '../shared/time.tsx'
import { useTitle } from '../shared/title.ts'
import type { Ready } from '../shared/types.ts'
import { Empty, Loading, Status } from '../shared/ui.tsx'
import { useLoad } from '../shared/use_load.ts'
import { Connections } from './connections.tsx'
import { Licences } from './licences.tsx'
import { parseMetrics, quantile, type Sample, total } from './metrics.ts'
import './system.css'

const EVERY_MS = 5_000

interface Readiness {
  ready: boolean
  details: Partial<Ready>
}

export function SystemPage() {
  useTitle('System')
  const session = useSession()
  const admin = mayAll(session)
  const ready = useLoad<Readiness>('readyz', readiness, { every: EVERY_MS })
  const metrics = useLoad<Sample[] | null>('metrics', loadMetrics, { every: EVERY_MS, when: admin })
  return (
    <main className="page">
      <div className="page-head">
        <h1>System</h1>
        {ready.data !== undefined && <ReadyStatus readiness={ready.data} lost={ready.error} />}
        {ready.asOf !== undefined && (
          <span className="sub">
            as of <Time at={ready.asOf} />
          </span>
        )}
      </div>
      {ready.error !== undefined && <ProblemView error={ready.error} onRetry={ready.reload} />}
      {ready.data === undefined && ready.error === undefined && <Loading what="the state of the server" />}
      <div className={`stack ${ready.stale ? 'is-stale' : ''}`}>
        {metrics.data && (
          <div className={metrics.stale ? 'is-stale' : ''}>
            <Figures samples={metrics.data} />
          </div>
        )}
        {ready.data !== undefined && (
          <div className="columns">
            <Store details={ready.data.details} />
            <Projections details={ready.data.details} />
          </div>
        )}
        {metrics.data === null && (
          <p className="quiet">
            This server has no metrics (<code>METRICS_ENABLED=off</code>).
          </p>
        )}
        {metrics.error !== undefined && <ProblemView error={metrics.error} onRetry={metrics.reload} />}
        {admin ? (
          <Connections />
        ) : (
          <Empty title="There is more for admins">
            <p>
              Connections, metrics and the details of the store need <code>admin</code> on <code>*</code>.
            </p>
          </Empty>
        )}
        <div className="columns">
          <Rights />
          <About version={metrics.data ? versionOf(metrics.data) : undefined} />
        </div>
      </div>
    </main>
  )
}

/** A 503 is an answer too: it says what is not ready. */
async function readiness(signal: AbortSignal): Promise<Readiness> {
  try {
    return { ready: true, details: await get<Ready>('readyz', { signal }) }
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 503) throw error
    return { ready: false, details: (error.problem ?? {}) as unknown as Partial<Ready> }
  }
}

async function loadMetrics(signal: AbortSignal): Promise<Sample[] | null> {
  try {
    return parseMetrics(
      await getText('metrics', { signal, headers: { Accept: 'text/plain, application/openmetrics-text, */*' } }),
    )
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null
    throw error
  }
}

const versionOf = (samples: readonly Sample[]): string | undefined =>
  samples.find(({ name }) => name === 'dao_build_info')?.labels.version

function ReadyStatus({ readiness, lost }: { readiness: Readiness; lost: ApiError | undefined }) {
  if (lost !== undefined) return <Status tone="bad">{lost.status === 0 ? 'Does not answer' : 'Not known now'}</Status>
  if (!readiness.ready) return <Status tone="bad">Not ready: {(readiness.details.reasons ?? []).join(', ')}</Status>
  if ((readiness.details.reasons ?? []).length > 0)
    return <Status tone="warn">Ready, with limits: {readiness.details.reasons!.join(', ')}</Status>
  return <Status tone="ok">Ready</Status>
}

function Figures({ samples }: { samples: readonly Sample[] }) {
  const append = quantile(samples, 'dao_append_duration_seconds', 0.99)
  const http = quantile(samples, 'dao_http_request_duration_seconds', 0.99)
  return (
    <section className="system-figures" aria-label="Metrics">
      <Figure name="Commits since the start" value={count(total(samples, 'dao_commits_total'))} />
      <Figure name="Append, 99 of 100 within" value={append === null ? '–' : milliseconds(append)} />
      <Figure name="Requests, 99 of 100 within" value={http === null ? '–' : milliseconds(http)} />
      <Figure name="Refused commands" value={count(total(samples, 'dao_command_refusals_total'))} />
      <Figure
        name="Sockets / streams"
        value={`${count(total(samples, 'dao_websocket_connections'))} / ${count(total(samples, 'dao_streams'))}`}
      />
      <Figure name="Graphs in memory" value={count(total(samples, 'dao_hot_graphs'))} />
      <Figure name="Memory" value={bytes(total(samples, 'process_resident_memory_bytes'))} />
      <Figure name="Up for" value={duration(total(samples, 'dao_uptime_seconds') * 1000)} />
    </section>
  )
}

const milliseconds = (seconds: number): string => {
  const ms = seconds * 1000
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`
}

function Store({ details: { store, durability, impaired } }: { details: Partial<Ready> }) {
  return (
    <section className="card panel">
      <h2>Store</h2>
      {store === undefined ? (
        <p className="quiet">Its details are for admins.</p>
      ) : (
        <dl className="facts">
          <dt>Histories</dt>
          <dd>
            <code>{store}</code>
          </dd>
          <dt>Durability</dt>
          <dd>
            <strong>{durability?.name}</strong>: {durability?.meaning}
          </dd>
          {(impaired ?? []).length > 0 && (
            <>
              <dt>Read-only shards</dt>
              <dd className="danger-text">{impaired!.join(', ')}</dd>
            </>
          )}
        </dl>
      )}
    </section>
  )
}

function Projections({ details: { projections } }: { details: Partial<Ready> }) {
  return (
    <section className="card panel">
      <h2>Projections</h2>
      {projections === undefined ? (
        <p className="quiet">Their details are for admins.</p>
      ) : (
        <dl className="facts">
          <dt>Behind the log</dt>
          <dd>
            {projections.lagCommits === 0 ? (
              <Status tone="ok">Caught up</Status>
            ) : (
              <Status tone={projections.lagMs > 10_000 ? 'bad' : 'info'}>
                {counted(projections.lagCommits, 'commit')}, {duration(projections.lagMs)}
              </Status>
            )}
          </dd>
          <dt>Parked graphs</dt>
          <dd>
            {projections.parkedGraphs === 0 ? (
              <Status tone="ok">None</Status>
            ) : (
              <Status tone="bad">{count(projections.parkedGraphs)}</Status>
            )}
          </dd>
        </dl>
      )}
      {(projections?.parked ?? []).map(({ graphId, version, reason }) => (
        <p key={graphId} className="parked-graph">
          <Link href={graphLink(graphId, version)}>
            {graphId} v{count(version)}
          </Link>{' '}
          {reason}
        </p>
      ))}
    </section>
  )
}

function Rights() {
  const { userId, access, expiresAt, mode } = useSession()
  return (
    <section className="card panel">
      <h2>You</h2>
      <dl className="facts">
        <dt>User</dt>
        <dd>{userId}</dd>
        <dt>Signed in</dt>
        <dd>{mode === 'bearer' ? 'with a token' : 'by name: this server has no keys'}</dd>
        {expiresAt !== null && (
          <>
            <dt>Token expires</dt>
            <dd>
              <Time at={expiresAt} />
            </dd>
          </>
        )}
        {Object.entries(access).map(([glob, right]) => (
          <div key={glob} className="pair">
            <dt>
              <code>{glob}</code>
            </dt>
            <dd>{right}</dd>
          </div>
        ))}
      </dl>
    </section>
  )
}

function About({ version }: { version: string | undefined }) {
  return (
    <section className="card panel stack">
      <div>
        <h2>About</h2>
        <p>
          dao-api {version ?? ''} <span className="quiet">Apache-2.0</span>
        </p>
        <p className="small-text">
          <a href={`${apiRoot}docs`}>HTTP interface</a> · <a href={`${apiRoot}openapi.json`}>OpenAPI document</a>
        </p>
      </div>
      <Licences />
    </section>
  )
}
