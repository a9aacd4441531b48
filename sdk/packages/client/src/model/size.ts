/** The size of an entity: the bytes of its JSON, without the fields that the server adds (rule O3). */

import type { Json, JsonObject } from '../api.ts'

/** Whether the JSON of an object is longer than `max` bytes. Mostly told without writing it. */
export function exceeds(fields: JsonObject, max: number): boolean {
  return atMost(fields) > max && new TextEncoder().encode(JSON.stringify(fields)).length > max
}

/** An upper bound: a UTF-16 code unit becomes six bytes at most. */
function atMost(value: Json | undefined): number {
  if (typeof value === 'string') return 2 + 6 * value.length
  if (typeof value !== 'object' || value === null) return 32
  let sum = 2
  if (Array.isArray(value)) for (const item of value) sum += 1 + atMost(item)
  else for (const key in value) sum += 4 + 6 * key.length + atMost(value[key])
  return sum
}
