/** Conflicts: each refusal as a sentence, with links to what it is about, and what each policy would have done (K7). */
import { useState } from 'react'
import { Link } from 'wouter'
import { compareLink, operationLink } from '../../shared/links.ts'
import { ProblemView } from '../../shared/problem.tsx'
import { Time } from '../../shared/time.tsx'
import { Empty, Loading } from '../../shared/ui.tsx'
import { asApiError, useLoad } from '../../shared/use_load.ts'
import type { Placed } from '../place.ts'
import { type Part, refusalSentence } from '../sentence.ts'
import { getCommit, getOperations } from '../source.ts'
import { v } from '../text.ts'
import type { AuditedOperation } from '../wire_types.ts'

const PAGE = 25

interface Page {
  readonly operations: readonly AuditedOperation[]
  readonly nextCursor: string | null
}

interface More extends Page {
  /** The first page that they follow. */
  readonly behind: Page
}

export function Conflicts({ id, placed, head }: { id: string; placed: Placed; head: number }) {
  const first = useLoad(`conflicts ${id} ${head}`, (signal) => refused(id, null, signal))
  const [loaded, setMore] = useState<More | null>(null)
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<ReturnType<typeof asApiError> | null>(null)
  if (first.data === undefined) {
    return first.error === undefined ? (
      <Loading what="refusals" />
    ) : (
      <ProblemView error={first.error} onRetry={first.reload} />
    )
  }
  // The pages behind another first page: there may be a gap between, or a row in both.
  const more = loaded?.behind === first.data ? loaded : null
  const behind = first.data
  const operations = [...first.data.operations, ...(more?.operations ?? [])]
  const next = more === null ? first.data.nextCursor : more.nextCursor
  const load = async (): Promise<void> => {
    setBusy(true)
    try {
      const page = await refused(id, next)
      setMore({ behind, operations: [...(more?.operations ?? []), ...page.operations], nextCursor: page.nextCursor })
      setError(null)
    } catch (failure) {
      setError(asApiError(failure))
    }
    setBusy(false)
  }
  if (operations.length === 0 && next === null) {
    return (
      <Empty title="No conflicts">
        No write was refused because of another one. What was refused for other reasons is in the history.
      </Empty>
    )
  }
  return (
    <div className="gp-conflicts">
      <ol>
        {operations.map((operation) => (
          <li key={operation.operationId}>
            <Refusal id={id} operation={operation} placed={placed} />
          </li>
        ))}
      </ol>
      {error !== null && <ProblemView error={error} onRetry={() => void load()} />}
      {next !== null && (
        <button type="button" disabled={busy} onClick={() => void load()}>
          Load more
        </button>
      )}
    </div>
  )
}

/** A page of what was refused. The server may answer with a short or empty one that has a successor. */
async function refused(id: string, from: string | null, signal?: AbortSignal): Promise<Page> {
  const operations: AuditedOperation[] = []
  let cursor: string | null = from
  for (let asked = 0; asked < 4; asked++) {
    const page = await getOperations(id, { status: 'conflict' }, cursor, PAGE, signal)
    operations.push(...page.operations)
    cursor = page.nextCursor
    if (cursor === null || operations.length >= PAGE) break
  }
  return { operations, nextCursor: cursor }
}

export function Refusal({ id, operation, placed }: { id: string; operation: AuditedOperation; placed: Placed }) {
  const blocking = operation.error?.resolution?.conflicts[0]?.version
  const commit = useLoad(`commit ${id} ${blocking}`, (signal) => getCommit(id, blocking ?? 0, signal), {
    when: blocking !== undefined && blocking > 0,
  })
  const timeOf = (version: number): number | undefined =>
    version === blocking ? (commit.data?.timestamp ?? undefined) : undefined
  const sentence = refusalSentence(operation, timeOf)
  return (
    <article className="gp-refusal">
      <p className="gp-sentence">
        <Parts parts={sentence.parts} placed={placed} />
      </p>
      {sentence.more.length > 0 && (
        <ul className="small-text">
          {sentence.more.map((parts, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: the list never changes
            <li key={index}>
              <Parts parts={parts} placed={placed} />
            </li>
          ))}
        </ul>
      )}
      <p className="gp-links small-text">
        <code>{operation.error?.code}</code>
        <Time at={operation.timestamp} />
        <Link href={operationLink(operation.operationId, id, operation.version)}>operation</Link>
        {sentence.commit !== null && sentence.commit > 0 && (
          <>
            <Link href={placed.to({ at: sentence.commit })}>commit {v(sentence.commit)}</Link>
            <Link href={compareLink(id, sentence.commit - 1, sentence.commit)}>compare</Link>
          </>
        )}
      </p>
      {sentence.policies.length > 0 && (
        <details className="small-text">
          <summary>What each policy would have done</summary>
          <dl className="gp-policies">
            {sentence.policies.map(({ name, would }) => (
              <div key={name}>
                <dt>
                  <code>{name}</code>
                </dt>
                <dd>{would}</dd>
              </div>
            ))}
          </dl>
        </details>
      )}
    </article>
  )
}

export function Parts({ parts, placed }: { parts: readonly Part[]; placed: Placed }) {
  return (
    <>
      {parts.map((part, index) => {
        const key = `${index} ${part.text}`
        switch (part.kind) {
          case 'text':
            return <span key={key}>{part.text}</span>
          case 'code':
            return <code key={key}>{part.text}</code>
          case 'user':
            return <b key={key}>{part.text}</b>
          case 'version':
            return (
              <Link key={key} href={placed.to({ at: part.version })}>
                {part.text}
              </Link>
            )
          case 'entity':
            return (
              <Link
                key={key}
                href={placed.to({
                  chosen: { kind: part.entity, id: part.id },
                  tab: 'inspect',
                })}
              >
                {part.text}
              </Link>
            )
          default:
            return null
        }
      })}
    </>
  )
}
