/** One operation: what was asked for, and what became of it. A refusal is a sentence with links (K7). */
import { Link } from 'wouter'
import { describe } from '../graph/describe.ts'
import { type Part, plain, refusalSentence } from '../graph/sentence.ts'
import { get } from '../shared/api.ts'
import { commandWords, count, short } from '../shared/format.ts'
import { JsonView } from '../shared/json_view.tsx'
import { compareLink, graphLink, operationsLink, seg } from '../shared/links.ts'
import { ProblemView } from '../shared/problem.tsx'
import { Time } from '../shared/time.tsx'
import { useTitle } from '../shared/title.ts'
import type { AuditedOperation, Changes, Commit, Operation, Operations } from '../shared/types.ts'
import { CopyButton, Loading, User } from '../shared/ui.tsx'
import { useLoad } from '../shared/use_load.ts'
import { useParams } from '../shared/use_params.ts'
import { Outcome } from './operations_page.tsx'

interface Found {
  operation: Operation
  /** What it wrote; null of a refusal, of one that changed nothing, and where the commit can't be read. */
  commit: Commit | null
  /** As the audit list has it: with the client, the trace and what it undoes. */
  audited: AuditedOperation | null
  /** When the commits in its way were made. */
  times: ReadonlyMap<number, number>
}

export function OperationPage({ id }: { id: string }) {
  useTitle(`Operation ${short(id)}`)
  const [params] = useParams()
  const graph = params.get('graph')
  const { data, error, reload } = useLoad<Found>(`${graph}/${id}`, (signal) => find(id, graph, signal))
  return (
    <main className="page">
      <div className="page-head">
        <h1>
          <span className="crumb">
            <Link href={operationsLink()}>Operations</Link> /{' '}
          </span>
          {data === undefined ? short(id, 13) : title(data.operation)}
        </h1>
      </div>
      {error !== undefined && (
        <ProblemView error={error} onRetry={reload}>
          {error.status === 404 && (
            <span className="quiet">
              Outcomes are kept for a day at least. The operations of a graph are kept in its history.{' '}
              {graph !== null && <Link href={operationsLink({ graphs: graph })}>Operations of {graph}</Link>}
            </span>
          )}
        </ProblemView>
      )}
      {data === undefined && error === undefined && <Loading what="the operation" />}
      {data !== undefined && <Details found={data} />}
    </main>
  )
}

const title = ({ type, userId }: Operation): string => `${userId}: ${commandWords(type)}`

async function find(id: string, graph: string | null, signal: AbortSignal): Promise<Found> {
  const operation = await get<Operation>(`operations/${seg(id)}`, { query: { graphId: graph }, signal })
  const [commit, audited] = await Promise.all([commitOf(operation, signal), auditedOf(operation, signal)])
  const versions = [...new Set((operation.resolution?.conflicts ?? []).slice(0, 5).map(({ version }) => version))]
  const commits = await Promise.all(versions.map((version) => commitAt(operation.graphId, version, signal)))
  const times = new Map(commits.flatMap((one) => (one === null ? [] : [[one.version, one.timestamp] as const])))
  return { operation, commit, audited, times }
}

async function commitOf(operation: Operation, signal: AbortSignal): Promise<Commit | null> {
  if (operation.status !== 'completed' || operation.outcome === 'unchanged') return null
  const commit = await commitAt(operation.graphId, operation.version, signal)
  return commit?.operationId === operation.operationId ? commit : null
}

async function commitAt(graphId: string, version: number, signal: AbortSignal): Promise<Commit | null> {
  try {
    const query = { since: version - 1, limit: 1 }
    const { changes } = await get<Changes>(`graphs/${seg(graphId)}/changes`, { query, signal })
    return changes.find((commit) => commit.version === version) ?? null
  } catch (error) {
    signal.throwIfAborted()
    void error
    return null
  }
}

async function auditedOf(operation: Operation, signal: AbortSignal): Promise<AuditedOperation | null> {
  try {
    const query = { user: operation.userId, from: operation.createdAt - 1, to: operation.completedAt + 1, limit: 100 }
    const { operations } = await get<Operations>(`graphs/${seg(operation.graphId)}/operations`, { query, signal })
    return operations.find(({ operationId }) => operationId === operation.operationId) ?? null
  } catch (error) {
    signal.throwIfAborted()
    void error
    return null
  }
}

function Details({ found: { operation, commit, audited, times } }: { found: Found }) {
  const { graphId, version } = operation
  const conflict = operation.resolution?.conflicts[0]
  return (
    <div className="detail">
      {operation.error !== undefined && <Refusal operation={operation} times={times} />}
      {operation.error === undefined && (
        <section className="card panel stack">
          <p className="refusal">
            <User id={operation.userId} />{' '}
            {commit === null ? 'changed nothing: everything was so already' : describe(commit)}
          </p>
          <p className="links">
            <Link href={graphLink(graphId, version)}>The graph at v{count(version)}</Link>
            {commit !== null && <Link href={compareLink(graphId, version - 1, version)}>What changed</Link>}
          </p>
        </section>
      )}
      <section className="card panel">
        <h2>Facts</h2>
        <dl className="facts">
          <Fact name="Outcome">
            <Outcome row={operation} />
          </Fact>
          <Fact name="Operation">
            <code>{operation.operationId}</code>{' '}
            <CopyButton text={operation.operationId} label="Copy the operation id" />
          </Fact>
          <Fact name="Graph">
            <Link href={graphLink(graphId)}>{graphId}</Link>
          </Fact>
          <Fact name="Command">
            <code>{operation.type}</code>
          </Fact>
          <Fact name="Version">
            v{count(version)}{' '}
            {operation.error !== undefined && <span className="quiet">was the latest when it was judged</span>}
          </Fact>
          <Fact name="User">{operation.userId}</Fact>
          {audited !== null && <Fact name="Client">{audited.clientId}</Fact>}
          <Fact name="When">
            <Time at={operation.completedAt} exact />
          </Fact>
          {audited?.traceparent !== undefined && (
            <Fact name="Trace">
              <code>{audited.traceparent}</code> <CopyButton text={audited.traceparent} label="Copy the trace" />
            </Fact>
          )}
          {audited?.undoes !== undefined && <Fact name="Undoes">{audited.undoes.join(', ')}</Fact>}
          {audited?.undoneBy !== undefined && <Fact name="Undone by">{audited.undoneBy.join(', ')}</Fact>}
          {commit !== null && (
            <Fact name="Hash">
              <code>{commit.hash}</code> <CopyButton text={commit.hash} label="Copy the hash" />
            </Fact>
          )}
        </dl>
      </section>
      {commit !== null && (
        <section className="card panel">
          <h2>Events</h2>
          <JsonView value={commit.events} open={2} />
        </section>
      )}
      {operation.error !== undefined && (
        <section className="card panel">
          <h2>Answer</h2>
          <JsonView value={operation.error} open={conflict === undefined ? 1 : 3} />
        </section>
      )}
    </div>
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
          <Link href={`/operations/${seg(blocking.operationId)}?graph=${seg(graphId)}`}>The operation in its way</Link>
        )}
        {sentence.commit !== null && (
          <>
            <Link href={graphLink(graphId, sentence.commit, { node: sentence.entityId, path: sentence.path })}>
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
        <Link key={key} href={graphLink(graphId, null, { node: part.id })}>
          {part.text}
        </Link>
      )
    if (part.kind === 'code') return <code key={key}>{part.text}</code>
    if (part.kind === 'user') return <strong key={key}>{part.text}</strong>
    return <span key={key}>{part.text}</span>
  })
}
