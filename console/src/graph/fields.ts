/** Who wrote each field of a node or edge, and when (A4 folded to its leaves). Pure. */
import { isObject } from '../shared/is_object.ts'
import type { Touch } from './wire_types.ts'

/** Fields of the server, which are not the author's (G2). */
const SERVERS: ReadonlySet<string> = new Set(['createdAt', 'updatedAt', 'version'])

export interface Field {
  /** A JSON Pointer. */
  readonly path: string
  readonly value: unknown
}

/** The fields of an entity: leaves of objects; `position`, lists and empty objects are one field each (D2). */
export function fieldsOf(entity: Readonly<Record<string, unknown>>): Field[] {
  const fields: Field[] = []
  const walk = (value: unknown, path: string): void => {
    if (!isObject(value) || path === '/position' || Object.keys(value).length === 0) {
      fields.push({ path, value })
      return
    }
    for (const [key, inner] of Object.entries(value)) walk(inner, `${path}/${escapeKey(key)}`)
  }
  for (const [key, value] of Object.entries(entity)) {
    if (!SERVERS.has(key)) walk(value, `/${escapeKey(key)}`)
  }
  return fields.sort((a, b) => rank(a.path) - rank(b.path) || (a.path < b.path ? -1 : 1))
}

function rank(path: string): number {
  if (path === '/id') return 0
  if (path === '/type') return 1
  return path.startsWith('/data/') ? 2 : 3
}

function escapeKey(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1')
}

export interface Writer {
  readonly userId: string
  readonly version: number
  readonly timestamp: number
  readonly before: unknown
}

/**
 * Who wrote each of the fields last, as of a version. `touches` are newest first. A field whose writer is further back
 * than the given touches is not in the answer.
 */
export function writersOf(fields: readonly Field[], touches: readonly Touch[], version: number): Map<string, Writer> {
  const writers = new Map<string, Writer>()
  for (const touch of touches) {
    if (touch.version > version) continue
    for (const { path, before } of touch.changes ?? []) {
      for (const field of fields) {
        if (writers.has(field.path) || !covers(path, field.path)) continue
        const { userId, timestamp } = touch
        writers.set(field.path, {
          userId,
          version: touch.version,
          timestamp,
          before: valueAt(before, field.path.slice(path.length)),
        })
      }
    }
  }
  return writers
}

/** Whether a change at one path wrote a field: the field is at it or below it, or it is inside the field. */
export function covers(changed: string, field: string): boolean {
  return changed === '' || changed === field || field.startsWith(`${changed}/`) || changed.startsWith(`${field}/`)
}

/** The value at a JSON Pointer; `undefined` if there is none. */
export function valueAt(value: unknown, pointer: string): unknown {
  let at = value
  for (const part of pointer.split('/').slice(1)) {
    if (!isObject(at) && !Array.isArray(at)) return undefined
    at = (at as Record<string, unknown>)[part.replaceAll('~1', '/').replaceAll('~0', '~')]
  }
  return at
}
