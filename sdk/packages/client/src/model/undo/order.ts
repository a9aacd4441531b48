/** What taking back needs beside the changes: their order, and what stands in them. */

import type { GraphNode, Json, JsonObject } from '../../api.ts'
import { parentsOf } from '../entity.ts'
import type { Change } from './changes.ts'

/** Whether what was there went. */
export function isGone(change: Change): boolean {
  return change.before !== undefined && (change.after === undefined || change.isExchange === true)
}

/** Each after those of its parents that are among them; the others in the order given. */
export function parentsFirst<T>(items: readonly T[], node: (item: T) => GraphNode): T[] {
  const byId = new Map(items.map((item, index) => [node(item).id, index]))
  const isReached = new Set<number>()
  const order: T[] = []
  for (let first = 0; first < items.length; first++) {
    const way: { index: number; areParentsDone: boolean }[] = [{ index: first, areParentsDone: false }]
    for (let step = way.pop(); step !== undefined; step = way.pop()) {
      const { index, areParentsDone } = step
      const item = items[index] as T
      if (areParentsDone) order.push(item)
      else if (!isReached.has(index)) {
        isReached.add(index)
        way.push({ index, areParentsDone: true })
        for (const { id } of parentsOf(node(item))) {
          const parent = byId.get(id)
          if (parent !== undefined) way.push({ index: parent, areParentsDone: false })
        }
      }
    }
  }
  return order
}

/** A value at a path; null where nothing stands. */
export function valueAt(value: Json | undefined, keys: readonly string[]): Json {
  let found: Json | undefined = value
  for (const key of keys) {
    found =
      typeof found === 'object' && found !== null && Object.hasOwn(found, key) ? (found as JsonObject)[key] : undefined
  }
  return found ?? null
}
