/** Does something now and again while the page is seen (K9). */

/** What is needed of `document`. */
export type Seen = Pick<Document, 'hidden' | 'addEventListener' | 'removeEventListener'>

/**
 * Runs `task` now, then `every` milliseconds after each end; without `every`, only once. A page that is seen again runs it at once.
 * It never runs twice at the same time, so that an older answer can't follow a newer one. `task` has to catch its own errors.
 * Returns the way to stop.
 */
export function repeat(task: () => Promise<void>, every: number | undefined, page: Seen = document): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined
  let running = false
  let stopped = false
  const run = async (): Promise<void> => {
    if (running) return
    clearTimeout(timer)
    running = true
    await task()
    running = false
    if (every !== undefined && !stopped) timer = setTimeout(seen, every)
  }
  const seen = (): void => {
    if (!page.hidden) void run()
  }
  if (every !== undefined) page.addEventListener('visibilitychange', seen)
  void run()
  return () => {
    stopped = true
    clearTimeout(timer)
    page.removeEventListener('visibilitychange', seen)
  }
}
