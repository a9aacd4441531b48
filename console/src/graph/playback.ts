/** Playback of a history: how long to wait before the next commit. Pure; the timer is the slider's. */

const SPEEDS: readonly number[] = [1, 2, 4, 8, 16, 32, 64]
/** A pause in the history that is longer than this is skipped. Milliseconds of history. */
export const IDLE_MS = 2_000
/** The shortest time a commit is shown, so that a burst can be seen. */
const STEP_MS_MIN = 16

/** How many commits to go ahead, and when: at high speeds several commits share one frame. */
export interface Step {
  readonly commits: number
  readonly waitMs: number
}

/**
 * The next step from commits in order. `gaps[i]` is the time from one commit to the next, in milliseconds. A pause above
 * {@link IDLE_MS} counts as that.
 */
export function nextStep(gaps: readonly number[], speed: number): Step {
  let waited = 0
  let commits = 0
  for (const gap of gaps) {
    waited += Math.min(IDLE_MS, Math.max(0, gap)) / speed
    commits += 1
    if (waited >= STEP_MS_MIN) return { commits, waitMs: waited }
    if (commits >= speed) break
  }
  return { commits, waitMs: Math.max(STEP_MS_MIN, waited) }
}

export function nextSpeed(speed: number): number {
  return SPEEDS[(SPEEDS.indexOf(speed) + 1) % SPEEDS.length] ?? 1
}
