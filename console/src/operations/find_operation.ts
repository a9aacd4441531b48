/**
 * Finds one operation, with what it wrote. The server keeps outcomes by id for `OPERATION_TTL`; after that the history of the graph
 * still has the operation, and is searched.
 */
import { ApiError, get, isPassing } from '../shared/api.ts'
import { count } from '../shared/format.ts'
import { seg } from '../shared/links.ts'
import type { AuditedOperation, Changes, Commit, Operation, Operations } from '../shared/types.ts'
import { asApiError } from '../shared/use_load.ts'

export interface Found {
  operation: Operation
  /** What it wrote; null of a refusal, of one that changed nothing, and of one whose commit is `unread`. */
  commit: Commit | null
  /** Why what it wrote can't be told. */
  unread: ApiError | null
  /** Why something else is left out that another attempt may find. */
  missing: ApiError | null
  /** As the audit list has it: with the client, the trace and what it undoes. */
  audited: AuditedOperation | null
  /** When the commits in its way were made. */
  times: ReadonlyMap<number, number>
}

const PAGE = 1000
/** So that a search in a long history ends. */
const MOST_PAGES = 10
const MOST_TIMES = 5

export async function findOperation(
  id: string,
  graph: string | null,
  version: number | null,
  signal: AbortSignal,
): Promise<Found> {
  const known = await remembered(id, graph, signal)
  if (!(known instanceof ApiError)) {
    const around = { from: known.createdAt - 1, to: known.completedAt + 1 }
    return complete(known, await optional(search(known.graphId, id, around, signal), signal), signal)
  }
  if (graph === null) throw known
  const around = version === null ? {} : await timesAround(graph, version, signal)
  const audited = await search(graph, id, around, signal)
  if (audited === null) throw known
  return complete(asOperation(audited, graph), { value: audited, error: null }, signal)
}

async function remembered(id: string, graphId: string | null, signal: AbortSignal): Promise<Operation | ApiError> {
  try {
    return await get<Operation>(`operations/${seg(id)}`, { query: { graphId }, signal })
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return error
    throw error
  }
}

async function complete(operation: Operation, audited: Read<AuditedOperation>, signal: AbortSignal): Promise<Found> {
  const { graphId, resolution } = operation
  const blocking = [...new Set((resolution?.conflicts ?? []).slice(0, MOST_TIMES).map((conflict) => conflict.version))]
  const [own, ...others] = await Promise.all([
    ownCommit(operation, signal),
    ...blocking.map((at) => optional(commitAt(graphId, at, signal), signal)),
  ])
  const times = new Map(others.flatMap(({ value }) => (value === null ? [] : [[value.version, value.timestamp]])))
  const missing = [audited, ...others].find(({ error }) => error !== null && isPassing(error))?.error ?? null
  return { operation, audited: audited.value, times, commit: own.value, unread: own.error, missing }
}

async function ownCommit(operation: Operation, signal: AbortSignal): Promise<Read<Commit>> {
  const { graphId, operationId, status, outcome, version } = operation
  if (status !== 'completed' || outcome === 'unchanged') return { value: null, error: null }
  const { value, error } = await optional(commitAt(graphId, version, signal), signal)
  if (error !== null || value?.operationId === operationId) return { value, error }
  const why = value?.erased === true ? 'What it wrote was erased.' : 'The history has another commit there, or none.'
  return { value: null, error: new ApiError(404, 'COMMIT_NOT_FOUND', why, null, null, null) }
}

function asOperation(audited: AuditedOperation, graphId: string): Operation {
  const { operationId, status, userId, version, timestamp, commandType: type, outcome, error } = audited
  return {
    ...{ operationId, graphId, status, userId, version, type, createdAt: timestamp, completedAt: timestamp },
    ...(outcome === null ? {} : { outcome }),
    ...(error === undefined ? {} : { error }),
    ...(error?.resolution === undefined ? {} : { resolution: error.resolution }),
  }
}

/** What was judged while `version` was the head came between its commit and the next one. */
async function timesAround(
  graphId: string,
  version: number,
  signal: AbortSignal,
): Promise<{ from?: number; to?: number }> {
  const [at, next] = await Promise.all([version, version + 1].map((one) => timeOf(graphId, one, signal)))
  return {
    ...(at == null ? {} : { from: at - 1 }),
    ...(next == null ? {} : { to: next + 1 }),
  }
}

/** Null if there is no such commit: then the search has no end on that side. */
async function timeOf(graphId: string, version: number, signal: AbortSignal): Promise<number | null> {
  const { value, error } = await optional(commitAt(graphId, version, signal), signal)
  if (error !== null && isPassing(error)) throw error
  return value?.timestamp ?? null
}

/** Null if the graph has no such operation. */
async function search(
  graphId: string,
  id: string,
  around: object,
  signal: AbortSignal,
): Promise<AuditedOperation | null> {
  let cursor: string | null = null
  for (let page = 0; page < MOST_PAGES; page++) {
    const query: Record<string, string | number | null> = { ...around, limit: PAGE, cursor }
    const answer: Operations = await get(`graphs/${seg(graphId)}/operations`, { query, signal })
    const found = answer.operations.find(({ operationId }) => operationId === id)
    if (found !== undefined) return found
    cursor = answer.nextCursor
    if (cursor === null) return null
  }
  const where = `among the latest ${count(MOST_PAGES * PAGE)} operations of ${graphId}`
  throw new ApiError(
    404,
    'NOT_FOUND',
    `It is not ${where}. Open it from a list: its address has the version.`,
    null,
    null,
    null,
  )
}

async function commitAt(graphId: string, version: number, signal: AbortSignal): Promise<Commit | null> {
  if (version < 1) return null
  const query = { since: version - 1, limit: 1 }
  const answer = await get<Changes>(`graphs/${seg(graphId)}/changes`, { query, signal })
  return answer.changes.find((commit) => commit.version === version) ?? null
}

interface Read<T> {
  value: T | null
  error: ApiError | null
}

/** What makes the page richer: it is shown without it, and says so where another attempt may find it. */
async function optional<T>(asked: Promise<T | null>, signal: AbortSignal): Promise<Read<T>> {
  try {
    return { value: await asked, error: null }
  } catch (error) {
    signal.throwIfAborted()
    return { value: null, error: asApiError(error) }
  }
}
