/** What taking back needs beside the changes: their order, and what stands in them. */

import type { GraphNode, Json } from '../../api.ts'
import { parentsOf } from '../entity.ts'
import { get, isObject } from '../json.ts'
import type { GraphState } from '../state.ts'
import type { Change } from './changes.ts'

/** Whether what was there went. */
export function isGone(change: Change): boolean {
  return change.before !== undefined && change.after === undefined
}

/** Each after those of its parents that are among them, also through nodes of `graph`; the others in the order given. */
export function parentsFirst<T>(items: readonly T[], node: (item: T) => GraphNode, graph?: GraphState): T[] {
  const byId = new Map(items.map((item) => [node(item).id, item]))
  const isReached = new Set<string>()
  const order: T[] = []
  for (const first of items) {
    const way: { id: string; areParentsDone?: true }[] = [{ id: node(first).id }]
    for (let step = way.pop(); step !== undefined; step = way.pop()) {
      const { id, areParentsDone } = step
      const item = byId.get(id)
      if (areParentsDone) {
        if (item !== undefined) order.push(item)
        continue
      }
      const one = item === undefined ? graph?.nodes.get(id)?.entity : node(item)
      if (one === undefined || isReached.has(id)) continue
      isReached.add(id)
      way.push({ id, areParentsDone: true }, ...parentsOf(one))
    }
  }
  return order
}

/** A value at a path; null where nothing stands. */
export function valueAt(value: Json | undefined, keys: readonly string[]): Json {
  let found: Json | undefined = value
  for (const key of keys) found = isObject(found) ? get(found, key) : undefined
  return found ?? null
}
