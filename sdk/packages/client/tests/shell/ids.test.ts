import { expect, test } from 'vitest'
import { newId, uuidV7 } from '../../src/ids.ts'

test('ids are UUIDv7, and those of different milliseconds sort by time', () => {
  expect(newId()).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  const times = Array.from({ length: 1_000 }, (_, at) => 1_700_000_000_000 + at * 97)
  const ids = times.map(uuidV7)
  expect([...ids].sort()).toEqual(ids)
})
