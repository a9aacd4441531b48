/** What people write for a moment. */
import { describe, expect, test } from 'vitest'
import { addressOf, momentOf, namedBy } from '../src/shared/when.ts'

const NOW = new Date(2026, 11, 1, 2, 5).getTime()
const local = (...at: [number, number, number, number, number, number?, number?]): number => new Date(...at).getTime()

describe('k1 moments in words', () => {
  test('k1_words_and_lengths_of_time', () => {
    expect(momentOf('today', NOW)).toBe(NOW)
    expect(momentOf(' Yesterday ', NOW)).toBe(local(2026, 10, 30, 23, 59, 59, 999))
    expect(momentOf('1 hour ago', NOW)).toBe(NOW - 3_600_000)
    expect(momentOf('an hour ago', NOW)).toBe(NOW - 3_600_000)
    expect(momentOf('2 days ago', NOW)).toBe(NOW - 2 * 86_400_000)
    expect(momentOf('5 min ago', NOW)).toBe(NOW - 300_000)
    expect(momentOf('30s ago', NOW)).toBe(NOW - 30_000)
  })

  test('k1_a_date_is_the_end_of_that_day_where_the_reader_is', () => {
    expect(momentOf('2026-11-30', NOW)).toBe(local(2026, 10, 30, 23, 59, 59, 999))
    expect(momentOf('2026-02-30', NOW)).toBeNull()
    expect(momentOf('2026-11-30 10:30', NOW)).toBe(local(2026, 10, 30, 10, 30))
    expect(momentOf('2026-11-30T10:30:00Z', NOW)).toBe(Date.UTC(2026, 10, 30, 10, 30))
  })

  test('k1_other_words_name_no_moment', () => {
    for (const text of ['', 'published', '3 moons ago', 'ago', '2026-', 'tomorrow'])
      expect(momentOf(text, NOW)).toBeNull()
  })

  test('k1_a_label_comes_before_a_word_for_a_time', () => {
    expect(namedBy('yesterday', ['yesterday'], NOW)).toEqual({ kind: 'label', name: 'yesterday' })
    expect(namedBy('now', [], NOW)).toEqual({ kind: 'head' })
    expect(namedBy('v1,470', [], NOW)).toEqual({ kind: 'version', version: 1470 })
    expect(namedBy('published', [], NOW)).toEqual({ kind: 'label', name: 'published' })
    expect(namedBy(' ', [], NOW)).toBeNull()
    expect(addressOf({ kind: 'time', at: Date.UTC(2026, 10, 30) })).toBe('2026-11-30T00:00:00Z')
  })
})
