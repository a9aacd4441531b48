/** Order of nodes in React Flow's list. */

interface Child {
  readonly id: string
  readonly parentId?: string | undefined
}

/**
 * Parents before their children, everything else in its place: the next node is always the oldest one whose parent is
 * already in the list (rule G5). A list that is in order is returned as it is. A parent that is not in the list, or a
 * cycle, holds nobody up.
 */
export function parentsFirst<T extends Child>(nodes: readonly T[]): readonly T[] {
  if (isInOrder(nodes)) return nodes
  const known = new Set(nodes.map((node) => node.id))
  const placed = new Set<string>()
  const waiting = new Map<string, number[]>()
  const out: T[] = []
  const place = (index: number): void => {
    const ready = [index]
    for (let next = ready.shift(); next !== undefined; next = ready.shift()) {
      const node = nodes[next]!
      out.push(node)
      placed.add(node.id)
      ready.push(...(waiting.get(node.id) ?? []))
      waiting.delete(node.id)
      ready.sort((a, b) => a - b)
    }
  }
  nodes.forEach((node, index) => {
    const parent = node.parentId
    if (parent === undefined || placed.has(parent) || !known.has(parent)) place(index)
    else waiting.set(parent, [...(waiting.get(parent) ?? []), index])
  })
  for (const node of nodes) if (!placed.has(node.id)) out.push(node)
  return out
}

function isInOrder(nodes: readonly Child[]): boolean {
  if (!nodes.some((node) => node.parentId !== undefined)) return true
  const place = new Map(nodes.map((node, index) => [node.id, index]))
  return nodes.every((node, index) => node.parentId === undefined || (place.get(node.parentId) ?? -1) < index)
}

/** `ids` and everything inside them. */
export function withDescendants(ids: Iterable<string>, nodes: readonly Child[]): Set<string> {
  const all = new Set(ids)
  if (all.size === 0) return all
  const children = new Map<string, string[]>()
  for (const { id, parentId } of nodes) {
    if (parentId !== undefined) children.set(parentId, [...(children.get(parentId) ?? []), id])
  }
  for (const id of all) for (const child of children.get(id) ?? []) all.add(child)
  return all
}
