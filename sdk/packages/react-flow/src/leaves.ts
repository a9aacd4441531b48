/**
 * Edits as leaf writes: which field of an entity takes which value. Overlays, diffs and patches all speak this form, so
 * that what somebody else changes beside an edit is never carried along with it.
 */
import type { JsonObject } from '@dao-api/client'

export type Path = readonly string[]

/** One field and its new value. `undefined` removes it. */
export interface Leaf {
  readonly path: Path
  readonly value: unknown
}

export type Fields = { readonly [key: string]: unknown }

/** An object that is made of fields: not a list, an instance of a class or a React element. */
export function isPlain(value: unknown): value is Fields {
  if (typeof value !== 'object' || value === null || '$$typeof' in value) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** Equal as JSON: the order of keys does not count, and a key with `undefined` is an absent one. */
export function equal(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, i) => equal(item, b[i]))
  }
  if (!isPlain(a) || !isPlain(b)) return false
  for (const key in a) if (!equal(a[key], Object.hasOwn(b, key) ? b[key] : undefined)) return false
  for (const key in b) if (b[key] !== undefined && !Object.hasOwn(a, key)) return false
  return true
}

/** Sets an own field, also one that is named like the prototype's accessor. */
function put(target: Record<string, unknown>, key: string, value: unknown): void {
  if (key === '__proto__') {
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true })
  } else {
    target[key] = value
  }
}

/** `object` with one field written or removed. Everything beside the path is shared. */
export function write(object: Fields, path: Path, value: unknown): Fields {
  const [key, ...rest] = path
  if (key === undefined) return object
  const before = Object.hasOwn(object, key) ? object[key] : undefined
  const after = rest.length === 0 ? value : write(isPlain(before) ? before : {}, rest, value)
  if (after === before && (after !== undefined || !Object.hasOwn(object, key))) return object
  const copy: Record<string, unknown> = { ...object }
  if (after === undefined) delete copy[key]
  else put(copy, key, after)
  return copy
}

export function writeAll(object: Fields, leaves: readonly Leaf[]): Fields {
  return leaves.reduce((now, leaf) => write(now, leaf.path, leaf.value), object)
}

/** The value at a path, `undefined` if there is none. */
export function read(object: unknown, path: Path): unknown {
  let at: unknown = object
  for (const key of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return undefined
    at = (at as Fields)[key]
  }
  return at
}

const startsWith = (path: Path, prefix: Path): boolean => prefix.every((key, i) => path[i] === key)

/** Adds a write to earlier ones: it replaces those below it and goes into one above it. */
export function addLeaf(leaves: readonly Leaf[], leaf: Leaf): readonly Leaf[] {
  const above = leaves.findIndex((other) => other.path.length < leaf.path.length && startsWith(leaf.path, other.path))
  const holder = leaves[above]
  if (holder !== undefined && isPlain(holder.value)) {
    const value = write(holder.value, leaf.path.slice(holder.path.length), leaf.value)
    return leaves.map((other) => (other === holder ? { path: other.path, value } : other))
  }
  return [...leaves.filter((other) => !startsWith(other.path, leaf.path)), leaf]
}

/** The writes as a JSON Merge Patch (RFC 7396). */
export function toPatch(leaves: readonly Leaf[]): JsonObject {
  return writeAll(
    {},
    leaves.map(({ path, value }) => ({ path, value: value === undefined ? null : value })),
  ) as JsonObject
}

/** A merge patch removes a field by `null`, so it can't say a field that is `null`. In lists it can. */
export function fitsPatch(leaves: readonly Leaf[]): boolean {
  const fits = (value: unknown): boolean => value !== null && (!isPlain(value) || Object.values(value).every(fits))
  return leaves.every((leaf) => fits(leaf.value))
}

/** `/data/label` → `['data', 'label']` (RFC 6901). */
export function parsePointer(pointer: string): Path {
  if (!pointer.startsWith('/'))
    throw new RangeError(`Not a JSON Pointer below an entity: "${pointer}". Begin with "/".`)
  return pointer
    .slice(1)
    .split('/')
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'))
}
