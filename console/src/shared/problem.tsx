/** What went wrong, with everything that support needs: code, detail, request id, and a way to try again (K9). */
import type { ReactNode } from 'react'
import { Link } from 'wouter'
import type { ApiError } from './api.ts'
import { sentence } from './format.ts'
import { graphLink } from './links.ts'
import { Time } from './time.tsx'
import type { Problem } from './types.ts'
import { CopyButton } from './ui.tsx'

const TITLES: Record<string, string> = {
  UNREACHABLE: 'The server does not answer',
  FORBIDDEN: 'You may not see this',
  UNAUTHENTICATED: 'Sign in again',
  GRAPH_NOT_FOUND: 'There is no such graph',
  GRAPH_TRASHED: 'This graph is in the trash',
  NOT_FOUND: 'Not found',
  COMMIT_NOT_FOUND: 'There is no such commit',
  NOT_JSON: "The answer can't be read",
  CONSOLE_FAULT: 'The console has failed',
  VERSION_NOT_FOUND: 'There is no such version',
  LABEL_NOT_FOUND: 'There is no such label',
  STORE_UNAVAILABLE: 'The store is unavailable',
  OVERLOADED: 'The server is busy',
  RATE_LIMITED: 'Too many requests',
  HISTORY_DAMAGED: 'This history is damaged',
}

export function ProblemView({
  error,
  onRetry,
  children,
}: {
  error: ApiError
  onRetry?: () => void
  children?: ReactNode
}) {
  return (
    <div className="problem" role="alert">
      <strong className="problem-title">{TITLES[error.code] ?? error.problem?.title ?? 'This did not work'}</strong>
      <p>{sentence(error.detail)}</p>
      {error.code === 'GRAPH_TRASHED' && error.problem !== null && <InTrash problem={error.problem} />}
      <p className="problem-facts">
        <code>{error.code}</code>
        {error.requestId !== null && (
          <span>
            Request <code>{error.requestId}</code> <CopyButton text={error.requestId} label="Copy the request id" />
          </span>
        )}
        {error.retryAfter !== null && <span>The server asks to wait {error.retryAfter} s.</span>}
      </p>
      <div className="row">
        {onRetry !== undefined && (
          <button type="button" onClick={onRetry}>
            Try again
          </button>
        )}
        {children}
      </div>
    </div>
  )
}

/** Who put the graph into the trash, until when it can be recovered, and what takes its place (L6, L8). */
function InTrash({ problem: { at, by, purgeAt, movedTo } }: { problem: Problem }) {
  return (
    <p>
      {at !== undefined && (
        <>
          {by ?? 'Somebody'} put it there <Time at={at} />.{' '}
        </>
      )}
      {purgeAt !== undefined && (
        <>
          It is purged <Time at={purgeAt} />; until then an admin can recover it.{' '}
        </>
      )}
      {movedTo !== undefined && (
        <>
          <Link href={graphLink(movedTo)}>{movedTo}</Link> takes its place.
        </>
      )}
    </p>
  )
}

/** One line, for a place that still shows older data. */
export function StaleNote({ error, asOf, onRetry }: { error: ApiError; asOf: ReactNode; onRetry: () => void }) {
  return (
    <p className="stale-note" role="status">
      <span aria-hidden="true">△</span> As of {asOf}. {sentence(error.detail)} <code>{error.code}</code>
      {error.requestId !== null && <code title="X-Request-Id">{error.requestId}</code>}{' '}
      <button type="button" className="link" onClick={onRetry}>
        Try again
      </button>
    </p>
  )
}
