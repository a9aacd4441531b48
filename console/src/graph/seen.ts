/** What was seen of a history, compared with the one that the server has now. Pure. */
import type { Status } from '@dao-api/client'

/** The head that a list of commits was read at. What came since is offered; another history is another list. */
export interface Seen {
  readonly version: number
  /** How often the history had been replaced by then. */
  readonly replacements: number
}

/** The head only falls when the history is replaced: it may be known to be shorter before or after that is told. */
export function seenAfter(seen: Seen, head: number, replacements: number): Seen {
  const isSame = seen.replacements === replacements && seen.version <= head
  return isSame ? seen : { version: head, replacements }
}

type Point = Status['point']

/**
 * Whether the history of `now` is another one than that of `before`: the point that was seen last, by a client that is no
 * more. `isReset` asks the server about a point (V4). What can't be compared counts as another history.
 */
export async function isReplaced(
  before: Point,
  now: Point,
  isReset: (since: { version: number; hash: string }) => Promise<boolean>,
): Promise<boolean> {
  const { version, hash } = before
  if (hash === null || version === 0) return false
  if (now.version <= version) return now.version < version || now.hash !== hash
  return isReset({ version, hash }).catch(() => true)
}
