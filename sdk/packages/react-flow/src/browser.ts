/** The browser as the flow store sees it. */
import type { Surroundings } from './options.ts'

/** One frame at 60 Hz: the pace in a hidden tab, where frames are not painted. */
const FRAME_MS = 16

export const browser: Surroundings = {
  now: () => performance.now(),
  after: (ms, callback) => {
    const timer = setTimeout(callback, ms)
    return () => clearTimeout(timer)
  },
  frame: (callback) => {
    if (document.visibilityState === 'hidden') {
      const timer = setTimeout(callback, FRAME_MS)
      return () => clearTimeout(timer)
    }
    // A tab that is hidden before it paints would keep the callback until it is shown.
    let done = false
    const once = (): void => {
      if (done) return
      stop()
      callback()
    }
    const frame = requestAnimationFrame(once)
    const timer = setTimeout(once, 10 * FRAME_MS)
    const stop = (): void => {
      done = true
      cancelAnimationFrame(frame)
      clearTimeout(timer)
    }
    return stop
  },
  leaving: (callback) => {
    const hidden = (): void => {
      if (document.visibilityState === 'hidden') callback()
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

/** A UUIDv7 (RFC 9562): made here, so that nothing has a temporary id. Works on pages without TLS, too. */
export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  new DataView(bytes.buffer).setUint32(0, Math.floor(Date.now() / 0x10000))
  new DataView(bytes.buffer).setUint16(4, Date.now() % 0x10000)
  bytes[6] = (bytes[6]! & 0x0f) | 0x70
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}
