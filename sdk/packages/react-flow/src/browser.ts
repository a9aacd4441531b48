/** The browser as the flow store sees it. */
import { newId } from '@dao-api/client'
import type { Surroundings } from './options.ts'

/** One frame at 60 Hz: the pace in a hidden tab, where frames are not painted. */
const FRAME_MS = 16

const after: Surroundings['after'] = (ms, callback) => {
  const timer = setTimeout(callback, ms)
  return () => clearTimeout(timer)
}

export const browser: Surroundings = {
  now: () => performance.now(),
  after,
  frame: (callback) => {
    if (document.hidden) return after(FRAME_MS, callback)
    const once = (): void => {
      stop()
      callback()
    }
    const frame = requestAnimationFrame(once)
    // A tab that is hidden before it paints would keep the callback until it is shown.
    const late = after(10 * FRAME_MS, once)
    const stop = (): void => {
      cancelAnimationFrame(frame)
      late()
    }
    return stop
  },
  leaving: (callback) => {
    const hidden = (): void => {
      if (document.hidden) callback()
    }
    // Captured, it comes before the client closes the connection of a page that is kept to go back to.
    addEventListener('pagehide', callback, true)
    document.addEventListener('visibilitychange', hidden)
    return () => {
      removeEventListener('pagehide', callback, true)
      document.removeEventListener('visibilitychange', hidden)
    }
  },
  newId,
  warn: (message) => {
    // biome-ignore lint/suspicious/noConsole: one warning for each path, for the developer.
    console.warn(`@dao-api/react-flow: ${message}`)
  },
}
