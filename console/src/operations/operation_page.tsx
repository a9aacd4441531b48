/** One operation: what was asked for, and what became of it. A refusal is a sentence with links (K7). */
import { Link } from 'wouter'
import { describe } from '../graph/describe.ts'
import { type Part, plain, refusalSentence } from '../graph/sentence.ts'
import { isPassing } from '../shared/api.ts'
import { commandWords, count, shortId } from '../shared/format.ts'
import { JsonView } from '../shared/json_view.tsx'
import { chosenView, compareLink, graphLink, operationLink, operationsLink } from '../shared/links.ts'
import { ProblemView } from '../shared/problem.tsx'
import { Time } from '../shared/time.tsx'
import { useTitle } from '../shared/title.ts'
import type { Commit, Operation } from '../shared/types.ts'
import { CopyButton, Loading, User } from '../shared/ui.tsx'
import { useLoad } from '../shared/use_load.ts'
import { useParams } from '../shared/use_params.ts'
import { type Found, findOperation } from './find_operation.ts'
import { Outcome } from './operations_page.tsx'

export function OperationPage({ id }: { id: string }) {
  useTitle(`Operation ${shortId(id)}`)
  const [params] = useParams()
  const graph = params.get('graph')
  const version = /^\d+$/.test(params.get('version') ?? '') ? Number(params.get('version')) : null
  const { data, error, reload } = useLoad<Found>(JSON.stringify([graph, id, version]), (signal) =>
    findOperation(id, graph, version, signal),
  )
  return (
    <main className="page">
      <div className="page-head">
        <h1>
          <span className="crumb">
            <Link href={operationsLink()}>Operations</Link> /{' '}
          </span>
          {data === undefined ? shortId(id, 13) : title(data.operation)}
        </h1>
      </div>
      {error !== undefined && (
        <ProblemView error={error} onRetry={reload}>
          {error.status === 404 && (
            <span className="quiet">
              The server keeps outcomes by their ids for a day at least. The operations of a graph stay in its history.{' '}
              {graph !== null && <Link href={operationsLink({ graphs: graph })}>Operations of {graph}</Link>}
            </span>
          )}
        </ProblemView>
      )}
      {data === undefined && error === undefined && <Loading what="the operation" />}
      {data !== undefined && <Details found={data} onRetry={reload} />}
    </main>
  )
}

const title = ({ type, userId }: Operation): string => `${userId}: ${commandWords(type)}`

function Details({ found, onRetry }: { found: Found; onRetry: () => void }) {
  const { operation, commit, audited, times, missing } = found
  return (
    <div className="detail">
      <div className="detail-main stack">
        {operation.error !== undefined && <Refusal operation={operation} times={times} />}
        {operation.error === undefined && <Effect found={found} onRetry={onRetry} />}
        {missing !== null && (
          <ProblemView error={missing} onRetry={onRetry}>
            <span className="quiet">Some of the facts and times are left out.</span>
          </ProblemView>
        )}
        {commit !== null && (
          <section className="card panel">
            <h2>Events</h2>
            <JsonView value={commit.events} open={2} />
          </section>
        )}
        {operation.error !== undefined && (
          <section className="card panel">
            <h2>Answer</h2>
            <JsonView value={operation.error} open={3} />
          </section>
        )}
      </div>
      <Facts operation={operation} commit={commit} audited={audited} />
    </div>
  )
}

/** What it did, of an operation that was not refused. */
function Effect({ found: { operation, commit, unread }, onRetry }: { found: Found; onRetry: () => void }) {
  const { graphId, version, userId } = operation
  return (
    <section className="card panel stack">
      <p className="refusal">
        <strong>{userId}</strong> {effectWords(operation, commit)}.
      </p>
      {unread !== null && (
        <>
          <p>
            The commit v{count(version)} can't be read{isPassing(unread) && ' now'}.
          </p>
          <ProblemView error={unread} onRetry={onRetry} />
        </>
      )}
      <p className="links">
        <Link href={graphLink(graphId, version)}>The graph at v{count(version)}</Link>
        {commit !== null && <Link href={compareLink(graphId, version - 1, version)}>What changed</Link>}
      </p>
    </section>
  )
}

/** Only the server's word says that nothing was changed: a commit that can't be read is another matter. */
export function effectWords({ outcome, type }: Pick<Operation, 'outcome' | 'type'>, commit: Commit | null): string {
  if (commit !== null) return describe(commit)
  return outcome === 'unchanged' ? 'changed nothing: everything was so already' : `ran ${type}`
}

function Facts({ operation, commit, audited }: Pick<Found, 'operation' | 'commit' | 'audited'>) {
  const { graphId, version } = operation
  return (
    <section className="card panel">
      <h2>Facts</h2>
      <dl className="facts">
        <Fact name="Outcome">
          <Outcome row={operation} />
        </Fact>
        <Fact name="Operation">
          <code>{operation.operationId}</code> <CopyButton text={operation.operationId} label="Copy the operation id" />
        </Fact>
        <Fact name="Graph">
          <Link href={graphLink(graphId)}>{graphId}</Link>
        </Fact>
        <Fact name="Command">
          <code>{operation.type}</code>
        </Fact>
        <Fact name={operation.error === undefined ? 'Version' : 'Judged on'}>v{count(version)}</Fact>
        <Fact name="User">
          <User id={operation.userId} />
        </Fact>
        {audited !== null && <Fact name="Client">{audited.clientId}</Fact>}
        <Fact name="When">
          <Time at={operation.completedAt} exact />
        </Fact>
        {audited?.traceparent !== undefined && (
          <Fact name="Trace">
            <code>{audited.traceparent}</code> <CopyButton text={audited.traceparent} label="Copy the trace" />
          </Fact>
        )}
        {audited?.restores !== undefined && (
          <Fact name="Restores">
            <Link href={graphLink(graphId, audited.restores)}>v{count(audited.restores)}</Link>
          </Fact>
        )}
        <Others name="Undoes" ids={audited?.undoes} graphId={graphId} />
        <Others name="Undone by" ids={audited?.undoneBy} graphId={graphId} />
        {commit !== null && (
          <Fact name="Hash">
            <code>{commit.hash}</code> <CopyButton text={commit.hash} label="Copy the hash" />
          </Fact>
        )}
      </dl>
    </section>
  )
}

function Others({ name, ids, graphId }: { name: string; ids: readonly string[] | undefined; graphId: string }) {
  if (ids === undefined || ids.length === 0) return null
  return (
    <Fact name={name}>
      {ids.slice(0, 10).map((id) => (
        <div key={id}>
          <Link href={operationLink(id, graphId)}>
            <code>{id}</code>
          </Link>
        </div>
      ))}
      {ids.length > 10 && `and ${ids.length - 10} others`}
    </Fact>
  )
}

function Fact({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  )
}

function Refusal({ operation, times }: { operation: Operation; times: ReadonlyMap<number, number> }) {
  const { graphId } = operation
  const refused = {
    ...operation,
    commandType: operation.type,
    timestamp: operation.completedAt,
    error: operation.error!,
  }
  const sentence = refusalSentence(refused, (version) => times.get(version))
  const blocking = operation.resolution?.conflicts[0]
  return (
    <section className="card panel stack" aria-label={plain(sentence.parts)}>
      <p className="refusal">
        <Parts parts={sentence.parts} graphId={graphId} />
      </p>
      {sentence.more.map((parts) => (
        <p key={plain(parts)}>
          <Parts parts={parts} graphId={graphId} />
        </p>
      ))}
      <p className="links">
        {blocking !== undefined && blocking.operationId !== '' && (
          <Link href={operationLink(blocking.operationId, graphId, blocking.version)}>The operation in its way</Link>
        )}
        {sentence.commit !== null && (
          <>
            <Link href={graphLink(graphId, sentence.commit, { ...chosenView(sentence.about), path: sentence.path })}>
              The graph at v{count(sentence.commit)}
            </Link>
            <Link href={compareLink(graphId, sentence.commit - 1, sentence.commit)}>What that commit changed</Link>
          </>
        )}
        <Link href={graphLink(graphId, operation.version)}>The graph as it was judged on</Link>
      </p>
      {sentence.policies.length > 0 && (
        <details>
          <summary>What each policy would have done</summary>
          <dl className="policies">
            {sentence.policies.map(({ name, would }) => (
              <Fact key={name} name={name}>
                {would}
              </Fact>
            ))}
          </dl>
        </details>
      )}
    </section>
  )
}

export function Parts({ parts, graphId }: { parts: readonly Part[]; graphId: string }) {
  return parts.map((part, index) => {
    const key = index
    if (part.kind === 'version')
      return (
        <Link key={key} href={graphLink(graphId, part.version)}>
          {part.text}
        </Link>
      )
    if (part.kind === 'entity')
      return (
        <Link key={key} href={graphLink(graphId, null, chosenView({ kind: part.entity, id: part.id }))}>
          {part.text}
        </Link>
      )
    if (part.kind === 'code') return <code key={key}>{part.text}</code>
    if (part.kind === 'user') return <strong key={key}>{part.text}</strong>
    return <span key={key}>{part.text}</span>
  })
}
