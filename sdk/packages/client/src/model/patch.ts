/**
 * JSON Merge Patch (RFC 7396), as the server merges (rules D2 and D3), and the JSON Pointers (RFC 6901) of what a patch
 * writes.
 */

import type { Json, JsonObject } from '../api.ts'
import { get, isEqual, isObject, put } from './json.ts'

/**
 * The value with the patch merged into it. The value is not changed. Parts that the patch leaves alone are the same
 * objects, and so is the whole if the patch changes nothing.
 */
export function merge(value: Json | undefined, patch: Json): Json {
  if (!isObject(patch)) return isEqual(value, patch) ? (value as Json) : patch
  return mergeFields(isObject(value) ? value : undefined, patch, NONE)
}

const NONE: readonly string[] = []

/** The same for an object; the fields in `except` are left alone. */
export function mergeFields(object: JsonObject | undefined, patch: JsonObject, except: readonly string[]): JsonObject {
  let merged: JsonObject | undefined = object === undefined ? {} : undefined
  for (const key of Object.keys(patch)) {
    if (except.includes(key)) continue
    const part = patch[key] as Json
    const old = object && get(object, key)
    if (part === null) {
      if (old === undefined) continue
      merged ??= { ...object }
      delete merged[key]
    } else {
      const value = merge(old, part)
      if (value === old) continue
      merged ??= { ...object }
      put(merged, key, value)
    }
  }
  return merged ?? (object as JsonObject)
}

/** The patch that turns `before` into `after`; `null` if none can: RFC 7396 has no way to write a null. */
export function between(before: JsonObject, after: JsonObject): JsonObject | null {
  const patch: JsonObject = {}
  for (const key of Object.keys(before)) {
    if (!Object.hasOwn(after, key)) put(patch, key, null)
  }
  for (const key of Object.keys(after)) {
    const [old, value] = [get(before, key), after[key] as Json]
    if (isEqual(old, value)) continue
    if (isObject(old) && isObject(value)) {
      const inner = between(old, value)
      if (inner === null) return null
      put(patch, key, inner)
    } else if (holdsNull(value)) {
      return null
    } else {
      put(patch, key, value)
    }
  }
  return patch
}

/** Whether a merge patch would read a part of the value as a removal. Lists are single values. */
function holdsNull(value: Json): boolean {
  return value === null || (isObject(value) && Object.keys(value).some((key) => holdsNull(value[key] as Json)))
}

/** The JSON Pointer of a key below another pointer. */
export function child(above: string, key: string): string {
  const escaped = key.includes('~') || key.includes('/') ? key.replaceAll('~', '~0').replaceAll('/', '~1') : key
  return `${above}/${escaped}`
}

/** The keys of a JSON Pointer, from the top. */
export function keysOf(pointer: string): string[] {
  const keys = pointer.split('/').slice(1)
  return pointer.includes('~') ? keys.map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~')) : keys
}

/** The JSON Pointers of the leaves of a patch. An empty object is a leaf, and so is the position of a node (rule D2). */
export function leaves(patch: JsonObject, isNode: boolean): string[] {
  const paths: string[] = []
  for (const key of Object.keys(patch)) {
    if (isNode && key === 'position') paths.push('/position')
    else collect(child('', key), patch[key] as Json, paths)
  }
  return paths
}

function collect(path: string, value: Json, into: string[]): void {
  const keys = isObject(value) ? Object.keys(value) : []
  if (keys.length === 0) into.push(path)
  for (const key of keys) collect(child(path, key), (value as JsonObject)[key] as Json, into)
}
