/**
 * Taking back a change of an entity's fields where they still stand (rule U4).
 *
 * Three sides: what was before the operation, what was after it, and what stands now. A field that stands as the operation
 * left it becomes what it was before; one that is already so stays; any other was taken over.
 */

import type { Json, JsonObject, OnConflict } from '../../api.ts'
import { get, isEqual, isObject, put } from '../json.ts'
import { child } from '../patch.ts'

/** What became of the fields. */
export interface PutBack {
  readonly now: JsonObject
  /** Paths that were put back. */
  readonly reverted: string[]
  /** Paths that others took over, with what was to stand there; null where that is absence. */
  readonly takenOver: { path: string; yours: Json }[]
}

interface How {
  readonly onConflict: OnConflict
  /** Whether the field at a path is one value, whatever it holds. */
  readonly isWhole: (path: string) => boolean
  readonly reverted: string[]
  readonly takenOver: { path: string; yours: Json }[]
}

/** Puts back in a copy of `now` what the operation changed. */
export function putBack(
  before: JsonObject,
  after: JsonObject,
  now: JsonObject,
  onConflict: OnConflict,
  isWhole: (path: string) => boolean,
): PutBack {
  const how: How = { onConflict, isWhole, reverted: [], takenOver: [] }
  return { now: fields(before, after, now, '', how), reverted: how.reverted, takenOver: how.takenOver }
}

/**
 * What the operation changed, as it was before: null where there was nothing. Where both sides are objects, what differs in
 * them, but for the field that is `whole`.
 */
export function changed(before: JsonObject, after: JsonObject, whole?: string): JsonObject {
  const told: { [key: string]: Json } = {}
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const [was, is] = [get(before, key), get(after, key)]
    if (isEqual(was, is)) continue
    put(told, key, key !== whole && isObject(was) && isObject(is) ? changed(was, is) : (was ?? null))
  }
  return told
}

const NOTHING: JsonObject = {}

function fields(before: JsonObject, after: JsonObject, now: JsonObject, above: string, how: How): JsonObject {
  const copy = { ...now }
  const onlyAfter = Object.keys(after).filter((key) => !Object.hasOwn(before, key))
  for (const key of [...Object.keys(before), ...onlyAfter]) {
    const [was, is] = [get(before, key), get(after, key)]
    if (!isEqual(was, is)) field(key, was, is, copy, child(above, key), how)
  }
  return copy
}

/** One field that the operation changed. */
function field(
  key: string,
  before: Json | undefined,
  after: Json | undefined,
  now: JsonObject,
  path: string,
  how: How,
): void {
  const stands = get(now, key)
  if (isEqual(stands, before)) return
  const stillStands = isEqual(stands, after)
  const areObjects = isObject(before) && isObject(after)
  if ((areObjects || !stillStands) && !how.isWhole(path)) {
    // Where all three sides are objects, the fields below are told apart; nothing counts as an empty one.
    const isSide = (side: Json | undefined): side is JsonObject | undefined => side === undefined || isObject(side)
    if (isSide(before) && isSide(after) && isObject(stands)) {
      put(now, key, fields(before ?? NOTHING, after ?? NOTHING, stands, path, how))
      return
    }
  }
  if (!stillStands && how.onConflict !== 'overwrite') {
    how.takenOver.push({ path, yours: before ?? null })
    return
  }
  if (before === undefined) delete now[key]
  else put(now, key, before)
  how.reverted.push(path)
}
