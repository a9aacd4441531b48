/** What a server tells of an undo. A client that predicts one tells nothing, and leaves this out. */

import type { Json } from '../../api.ts'
import type { Entity } from '../event.ts'
import { get, isEqual, isObject, put } from '../json.ts'
import { keysOf } from '../patch.ts'
import type { GraphState } from '../state.ts'
import { placeOf, standing } from './changes.ts'
import type { Skipped, Taking } from './taking.ts'

/** Each path once (rule D7), and only what came to something (rule U12). */
export function tell(head: GraphState, taking: Taking): void {
  replace(taking.skipped, oneForEachPath(taking.skipped))
  replace(
    taking.detached,
    taking.detached.filter((id) => taking.graph.nodes.has(id)),
  )
  for (const [key, { entity, id, paths }] of taking.reverted) {
    const kept = differing(head, taking.graph, { kind: entity, id } as Entity, paths)
    if (kept.length === 0) taking.reverted.delete(key)
    else taking.reverted.set(key, { entity, id, paths: kept })
  }
}

function replace<T>(list: T[], items: T[]): void {
  list.splice(0, list.length, ...items)
}

/**
 * Of several operations the oldest says what was to stand there: it is the last to be taken back. Of what is gone each
 * operation names only the fields that it changed.
 */
function oneForEachPath(skipped: readonly Skipped[]): Skipped[] {
  const told = new Map<string, Skipped>()
  for (const one of skipped) {
    const key = JSON.stringify([one.entity, one.id, one.path])
    const newer = told.get(key)
    const areGone = newer?.reason === 'TARGET_DELETED' && one.reason === 'TARGET_DELETED'
    told.set(key, areGone ? { ...one, yours: withFieldsOf(newer.yours, one.yours) } : one)
  }
  return [...told.values()]
}

/** The fields of both; where both have one, that of the older. */
function withFieldsOf(newer: Json, older: Json): Json {
  if (!isObject(newer) || !isObject(older)) return older
  const both = { ...newer }
  for (const [key, value] of Object.entries(older)) {
    const known = get(both, key)
    put(both, key, known === undefined ? value : withFieldsOf(known, value))
  }
  return both
}

/** The paths at which two graphs differ; none if one operation brought what an older one took again. */
function differing(head: GraphState, then: GraphState, about: Entity, paths: string[]): string[] {
  const [was, is] = [standing(head, about), standing(then, about)]
  const isMoved = placeOf(head, about)?.ordinal !== placeOf(then, about)?.ordinal
  if (isEqual(was, is) && !isMoved) return []
  if (was === undefined || is === undefined) return paths
  return paths.filter((path) => path === '' || !isEqual(standingAt(was, path), standingAt(is, path)))
}

function standingAt(fields: Json, path: string): Json | undefined {
  let found: Json | undefined = fields
  for (const key of keysOf(path)) found = isObject(found) ? get(found, key) : undefined
  return found
}
