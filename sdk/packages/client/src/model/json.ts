/**
 * JSON values: equality, structural sharing, and writing keys such as `__proto__` as what they are: keys (rule A17).
 */

import type { Json, JsonObject } from '../api.ts'

/** Whether the value is a JSON object: not a list, not null. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The value of an own key. What objects inherit is not part of a JSON document. */
export function get(object: JsonObject, key: string): Json | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined
}

/** Sets an own key, whatever its name is. */
export function put(object: JsonObject, key: string, value: Json): void {
  if (key === '__proto__') {
    Object.defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true })
  } else {
    object[key] = value
  }
}

/** Whether two values are the same document. The order of keys does not count. */
export function isEqual(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, index) => isEqual(item, b[index]))
  }
  if (Array.isArray(b)) return false
  const keys = Object.keys(a)
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && isEqual(a[key], b[key]))
}

/** A copy of what JSON can say of it: what the caller changes later is not part of it. */
export function plain<T extends Json>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T
}

/**
 * `next`, with every part that `previous` has too taken from `previous`. If all is equal, that is `previous` itself
 * (rule A9).
 */
export function share<T extends Json>(previous: Json | undefined, next: T): T {
  if (previous === next || typeof next !== 'object' || next === null) return next
  if (typeof previous !== 'object' || previous === null) return next
  if (isEqual(previous, next)) return previous as T
  if (!isObject(next) || !isObject(previous)) return next
  const shared: JsonObject = {}
  for (const key of Object.keys(next)) put(shared, key, share(get(previous, key), next[key] as Json))
  return shared as T
}
