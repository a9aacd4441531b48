/**
 * The order of lists (rule G5): creation order, except that a node comes after its parents. The next node is always the
 * oldest one whose parents are already in the list.
 */

import type { GraphNode } from '../api.ts'
import { parentsOf } from './entity.ts'
import type { GraphState } from './state.ts'
import type { Placed } from './table.ts'

/** The nodes of a graph, parents first. */
export function nodesInOrder(state: GraphState): Placed<GraphNode>[] {
  const rows = state.nodes.inOrder()
  const index = new Map<number, number>()
  let isOrdered = true
  const parents: number[][] = []
  for (let at = 0; at < rows.length; at++) index.set((rows[at] as Placed<GraphNode>).slot, at)
  for (let at = 0; at < rows.length; at++) {
    const { entity } = rows[at] as Placed<GraphNode>
    if (entity.parentId === undefined && entity.parentNode === undefined) {
      parents.push(NONE)
      continue
    }
    const above: number[] = []
    for (const { id } of parentsOf(entity)) {
      const slot = state.nodes.get(id)?.slot
      const parent = slot === undefined ? undefined : index.get(slot)
      if (parent !== undefined) above.push(parent)
    }
    isOrdered &&= above.every((parent) => parent < at)
    parents.push(above)
  }
  return isOrdered ? rows : parentsFirst(rows, parents)
}

const NONE: number[] = []

/** `parents` has, for each row, the rows that must stand before it. What is in a circle comes last, in its order. */
function parentsFirst(rows: Placed<GraphNode>[], parents: number[][]): Placed<GraphNode>[] {
  const isListed = new Array<boolean>(rows.length).fill(false)
  const waiting = new Map<number, number[]>()
  const ready = new Heap()
  const ordered: Placed<GraphNode>[] = []
  const list = (at: number): void => {
    isListed[at] = true
    ordered.push(rows[at] as Placed<GraphNode>)
    for (const child of waiting.get(at) ?? NONE) settle(child)
    waiting.delete(at)
  }
  /** Lets a row wait for a parent that is not listed, or makes it ready. */
  const settle = (at: number): void => {
    const parent = parents[at]?.find((parent) => !isListed[parent])
    if (parent === undefined) ready.push(at)
    else if (waiting.has(parent)) waiting.get(parent)?.push(at)
    else waiting.set(parent, [at])
  }
  for (let at = 0; at < rows.length; at++) {
    settle(at)
    // What became ready is older than all that follows.
    for (let next = ready.pop(); next !== undefined; next = ready.pop()) list(next)
  }
  for (let at = 0; at < rows.length; at++) if (!isListed[at]) ordered.push(rows[at] as Placed<GraphNode>)
  return ordered
}

/** Numbers, the smallest first. */
class Heap {
  readonly #items: number[] = []

  push(item: number): void {
    const items = this.#items
    let at = items.push(item) - 1
    while (at > 0) {
      const above = (at - 1) >> 1
      if ((items[above] as number) <= item) break
      items[at] = items[above] as number
      at = above
    }
    items[at] = item
  }

  pop(): number | undefined {
    const items = this.#items
    const first = items[0]
    const last = items.pop()
    if (items.length === 0 || last === undefined) return first
    let at = 0
    for (;;) {
      let below = 2 * at + 1
      if (below >= items.length) break
      if (below + 1 < items.length && (items[below + 1] as number) < (items[below] as number)) below += 1
      if ((items[below] as number) >= last) break
      items[at] = items[below] as number
      at = below
    }
    items[at] = last
    return first
  }
}
