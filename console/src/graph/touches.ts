/** The history of one node or edge (A4), which comes newest first, in pages. Pure. */
import type { EntityHistory, Touch } from './wire_types.ts'

/** Pages that are asked for at most: an entity may have been moved ten thousand times. */
export const TOUCH_PAGES_MAX = 5

export interface Touches {
  /** Newest first. */
  readonly touches: readonly Touch[]
  /** Nothing that was asked for is missing. */
  readonly isWhole: boolean
}

/** The touches after a version, all of them or those of the first {@link TOUCH_PAGES_MAX} pages; `isEnough` ends it earlier. */
export async function touchesAfter(
  ask: (cursor: string | null) => Promise<Pick<EntityHistory, 'history' | 'nextCursor'>>,
  low: number,
  isEnough: (touch: Touch) => boolean = () => false,
): Promise<Touches> {
  const touches: Touch[] = []
  let cursor: string | null = null
  for (let page = 0; page < TOUCH_PAGES_MAX; page++) {
    const answer = await ask(cursor)
    touches.push(...answer.history.filter(({ version }) => version > low))
    cursor = answer.nextCursor ?? null
    const isBelow = answer.history.some(({ version }) => version <= low)
    if (cursor === null || isBelow || answer.history.some(isEnough)) return { touches, isWhole: true }
  }
  return { touches, isWhole: false }
}

export function isDeletion({ changes }: Touch): boolean {
  return (changes ?? []).some(({ path, after }) => path === '' && after === null)
}

/** What is known of an entity that is not there in a version: the deletion before it, or the first commit after it. */
export function absence({ touches, isWhole }: Touches, version: number): { gone: Touch | null; made: Touch | null } {
  const gone = touches.find((touch) => touch.version <= version && isDeletion(touch)) ?? null
  const first = isWhole ? (touches[touches.length - 1] ?? null) : null
  return { gone, made: first !== null && first.version > version ? first : null }
}
