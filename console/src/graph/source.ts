/** What the graph page asks the server, in one place. Only GETs. */
import { get } from '../shared/api.ts'
import { seg } from '../shared/links.ts'
import type { StateJson } from './fold.ts'
import type { PastSource } from './past.ts'
import { isDeletion, type Touches, touchesAfter } from './touches.ts'
import type {
  Activity,
  ActivityBuckets,
  AuditedOperation,
  Authors,
  Changes,
  Commit,
  Difference,
  EntityHistory,
  GraphRow,
  Operations,
  PresentClients,
  Touch,
} from './wire_types.ts'

export const graphPath = (id: string, below = ''): string => `graphs/${seg(id)}${below}`

/** Also of a graph in the trash (L8). */
export function pastSource(id: string): PastSource {
  return {
    state: (version) => get<StateJson>(graphPath(id, '/state'), { query: { version, trashed: 'include' } }),
    commits: (since, limit) => get<Changes>(graphPath(id, '/changes'), { query: { since, limit } }),
  }
}

export const getRow = (id: string, signal?: AbortSignal): Promise<GraphRow> => get(graphPath(id), ask(signal))

export const getBuckets = (id: string, signal?: AbortSignal): Promise<ActivityBuckets> =>
  get(graphPath(id, '/activity'), { ...ask(signal), query: { bucket: 'auto' } })

export const getActivity = (id: string, cursor: string | null, signal?: AbortSignal): Promise<Activity> =>
  get(graphPath(id, '/activity'), { ...ask(signal), query: { limit: 2_000, cursor } })

export const getPresence = (id: string, signal?: AbortSignal): Promise<PresentClients> =>
  get(graphPath(id, '/presence'), ask(signal))

export const getAuthors = (id: string, at: number, signal?: AbortSignal): Promise<Authors> =>
  get(graphPath(id, '/authors'), { ...ask(signal), query: { at } })

export const getDifference = (id: string, from: string, to: string, signal?: AbortSignal): Promise<Difference> =>
  get(graphPath(id, '/diff'), { ...ask(signal), query: { from, to } })

export interface OperationFilter {
  user?: string | null | undefined
  type?: string | null | undefined
  status?: string | null | undefined
  from?: number | null | undefined
  to?: number | null | undefined
}

export const getOperations = (
  id: string,
  filter: OperationFilter,
  cursor: string | null,
  limit: number,
  signal?: AbortSignal,
): Promise<Operations> => get(graphPath(id, '/operations'), { ...ask(signal), query: { ...filter, cursor, limit } })

/** The last commit at or before a time; `null` if there is none. */
export async function commitAtTime(id: string, time: number, signal?: AbortSignal): Promise<AuditedOperation | null> {
  const page = await getOperations(id, { status: 'completed', to: time }, null, 1, signal)
  return page.operations[0] ?? null
}

const getHistory = (
  id: string,
  kind: 'node' | 'edge',
  entity: string,
  cursor: string | null,
  signal?: AbortSignal,
): Promise<EntityHistory> =>
  get(graphPath(id, `/${kind}s/${encodeURIComponent(entity)}/history`), {
    ...ask(signal),
    query: { limit: 200, cursor },
  })

/** What was done to a node or edge after a version. */
export const getTouches = (
  id: string,
  kind: 'node' | 'edge',
  entity: string,
  low: number,
  signal?: AbortSignal,
  isEnough?: (touch: Touch) => boolean,
): Promise<Touches> => touchesAfter((cursor) => getHistory(id, kind, entity, cursor, signal), low, isEnough)

export interface Removers {
  /** By kind and id: `node n1`. */
  readonly found: ReadonlyMap<string, { userId: string; version: number }>
  /** All were looked up, and to the end. */
  readonly isWhole: boolean
}

/** Who deleted these, between two versions. Only the first {@link REMOVED_MAX} are asked for. */
export async function getRemovers(
  id: string,
  removed: readonly { kind: 'node' | 'edge'; id: string }[],
  low: number,
  high: number,
  signal?: AbortSignal,
): Promise<Removers> {
  const found = new Map<string, { userId: string; version: number }>()
  let isWhole = removed.length <= REMOVED_MAX
  const isIt = (touch: Touch): boolean => touch.version > low && touch.version <= high && isDeletion(touch)
  const ask = async (one: { kind: 'node' | 'edge'; id: string }): Promise<void> => {
    const answer = await getTouches(id, one.kind, one.id, low, signal, isIt)
    const touch = answer.touches.find(isIt)
    if (touch !== undefined) found.set(`${one.kind} ${one.id}`, { userId: touch.userId, version: touch.version })
    else if (!answer.isWhole) isWhole = false
  }
  await Promise.all(removed.slice(0, REMOVED_MAX).map(ask))
  return { found, isWhole }
}

const REMOVED_MAX = 24

/** One commit by its version. */
export async function getCommit(id: string, version: number, signal?: AbortSignal): Promise<Commit | null> {
  const query = { since: version - 1, limit: 1 }
  return (await get<Changes>(graphPath(id, '/changes'), { ...ask(signal), query })).changes[0] ?? null
}

/** Whether the history was replaced since a point (V4). */
export async function getReset(
  id: string,
  { version, hash }: { version: number; hash: string },
  signal?: AbortSignal,
): Promise<boolean> {
  const query = { since: version, hash, limit: 1 }
  return (await get<Changes>(graphPath(id, '/changes'), { ...ask(signal), query })).reset === true
}

function ask(signal: AbortSignal | undefined): { signal?: AbortSignal } {
  return signal === undefined ? {} : { signal }
}
