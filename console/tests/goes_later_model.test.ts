/** Messages of success go by themselves, but not while somebody reads them (WCAG 2.2.1). */
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { GOES_MS, goesLater } from '../src/shared/goes_later.ts'

let read = false
beforeEach(() => {
  vi.useFakeTimers()
  read = false
  vi.stubGlobal('document', { querySelector: () => (read ? {} : null) })
})
afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

test('k8_a_message_goes_once_nobody_points_at_it', () => {
  const go = vi.fn()
  goesLater('.notices', go)
  vi.advanceTimersByTime(GOES_MS - 1)
  expect(go).not.toHaveBeenCalled()
  read = true
  vi.advanceTimersByTime(3 * GOES_MS)
  expect(go).not.toHaveBeenCalled()
  read = false
  vi.advanceTimersByTime(GOES_MS)
  expect(go).toHaveBeenCalledTimes(1)
})

test('k8_a_message_that_is_dismissed_is_not_dismissed_again', () => {
  const go = vi.fn()
  goesLater('.notices', go)()
  vi.advanceTimersByTime(2 * GOES_MS)
  expect(go).not.toHaveBeenCalled()
})
