/** k9: what is shown is kept fresh while it is seen, with one request at a time. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { repeat, type Seen } from '../src/shared/repeat.ts'

class Page extends EventTarget {
  hidden = false
  show(seen: boolean): void {
    this.hidden = !seen
    this.dispatchEvent(new Event('visibilitychange'))
  }
}

let page: Page
let started: number
let end: () => void
const task = (): Promise<void> => {
  started++
  return new Promise((resolve) => {
    end = resolve
  })
}
const passes = (ms: number) => vi.advanceTimersByTimeAsync(ms)
const begin = (every?: number) => repeat(task, every, page as unknown as Seen)

beforeEach(() => {
  vi.useFakeTimers()
  page = new Page()
  started = 0
})
afterEach(() => vi.useRealTimers())

test('k9_it_runs_again_after_its_end', async () => {
  begin(100)
  await passes(500)
  expect(started).toBe(1)
  end()
  await passes(99)
  expect(started).toBe(1)
  await passes(1)
  expect(started).toBe(2)
})

test('k9_a_page_that_is_seen_again_does_not_ask_twice_at_once_nor_more_often_afterwards', async () => {
  begin(100)
  for (let i = 0; i < 5; i++) {
    page.show(false)
    page.show(true)
  }
  expect(started).toBe(1)
  end()
  await passes(50)
  page.show(true)
  expect(started).toBe(2)
  end()
  await passes(99)
  expect(started).toBe(2)
  await passes(1)
  expect(started).toBe(3)
})

test('k9_a_hidden_page_asks_for_nothing', async () => {
  begin(100)
  end()
  page.show(false)
  await passes(1_000)
  expect(started).toBe(1)
  page.show(true)
  expect(started).toBe(2)
})

test('k9_without_a_pause_it_runs_once_and_what_is_stopped_ends', async () => {
  begin()
  end()
  await passes(1_000)
  page.show(true)
  expect(started).toBe(1)
  const stop = begin(100)
  stop()
  end()
  await passes(1_000)
  page.show(true)
  expect(started).toBe(2)
})
