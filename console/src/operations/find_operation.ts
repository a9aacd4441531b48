/**
 * Finds one operation, with what it wrote. The server keeps outcomes by id for `OPERATION_TTL`; after that the history of the graph
 * still has the operation, and is searched.
 */
import { ApiError, get } from '../shared/api.ts'
import { seg } from '../shared/links.ts'
import type { AuditedOperation, Changes, Commit, Operation, Operations } from '../shared/types.ts'

export interface Found {
  operation: Operation
  /** What it wrote; null of a refusal, of one that changed nothing, and where the commit can't be read. */
  commit: Commit | null
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
  return complete(asOperation(audited, graph), audited, signal)
}

async function remembered(id: string, graphId: string | null, signal: AbortSignal): Promise<Operation | ApiError> {
  try {
    return await get<Operation>(`operations/${seg(id)}`, { query: { graphId }, signal })
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return error
    throw error
  }
}

async function complete(operation: Operation, audited: AuditedOperation | null, signal: AbortSignal): Promise<Found> {
  const { graphId, operationId, version, resolution } = operation
  const wrote = operation.status === 'completed' && operation.outcome !== 'unchanged'
  const blocking = [...new Set((resolution?.conflicts ?? []).slice(0, MOST_TIMES).map((conflict) => conflict.version))]
  const [own, ...others] = await Promise.all([
    wrote ? commitAt(graphId, version, signal) : null,
    ...blocking.map((at) => commitAt(graphId, at, signal)),
  ])
  const times = new Map(others.flatMap((one) => (one == null ? [] : [[one.version, one.timestamp] as const])))
  return { operation, audited, times, commit: own?.operationId === operationId ? own : null }
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
  const [at, next] = await Promise.all([commitAt(graphId, version, signal), commitAt(graphId, version + 1, signal)])
  return {
    ...(at === null ? {} : { from: at.timestamp - 1 }),
    ...(next === null ? {} : { to: next.timestamp + 1 }),
  }
}

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
  return null
}

async function commitAt(graphId: string, version: number, signal: AbortSignal): Promise<Commit | null> {
  if (version < 1) return null
  const query = { since: version - 1, limit: 1 }
  const answer = await optional(get<Changes>(`graphs/${seg(graphId)}/changes`, { query, signal }), signal)
  return answer?.changes.find((commit) => commit.version === version) ?? null
}

/** What makes the page richer, and is left out where it can't be read. */
async function optional<T>(asked: Promise<T>, signal: AbortSignal): Promise<T | null> {
  try {
    return await asked
  } catch {
    signal.throwIfAborted()
    return null
  }
}
