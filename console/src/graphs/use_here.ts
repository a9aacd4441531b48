/** Who follows which graph on this server, for admins of everything; null for others (N5). */
import { get } from '../shared/api.ts'
import { mayAll, useSession } from '../shared/session.ts'
import type { Connections } from '../shared/types.ts'
import { useLoad } from '../shared/use_load.ts'

const EVERY_MS = 15_000

export function useHere(): ReadonlyMap<string, readonly string[]> | null {
  const session = useSession()
  const when = mayAll(session)
  const { data, error } = useLoad(
    'connections',
    (signal) => get<Connections>('connections', { query: { limit: 1000 }, signal }),
    {
      every: EVERY_MS,
      when,
    },
  )
  // Who was here before is not who is here now.
  if (!when || error !== undefined) return null
  const here = new Map<string, string[]>()
  for (const { userId, graphs } of data?.connections ?? [])
    for (const { graphId } of graphs) {
      const users = here.get(graphId) ?? []
      if (!users.includes(userId)) here.set(graphId, [...users, userId])
    }
  return here
}
