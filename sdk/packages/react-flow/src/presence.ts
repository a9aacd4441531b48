/**
 * What people show each other while they work, and how a drag of somebody else looks before it is committed. The slots of
 * a graph's presence: `""` is who somebody is and what is selected, `cursor` and `drag` are what they say.
 */
import type { GraphNode, Json, Position, Presence } from '@dao-api/client'
import { equal, type Leaf, read } from './leaves.ts'
import { Marked } from './marked.ts'

export const DRAG = 'drag'
export const CURSOR = 'cursor'
/** A drag of more nodes than this is shown as one box, so that its presence stays small. */
export const DRAG_NODES_MAX = 100
/** How long a preview outlives its drag when the commit has not come yet. Without it the node would jump back. */
export const PREVIEW_MS = 300

export interface Box {
  x: number
  y: number
  width: number
  height: number
}

/** Somebody else in the graph: one per tab. */
export interface Person {
  readonly clientId: string
  readonly userId: string
  readonly name: string
  /** A CSS colour: the one they chose, else one made of the user id. */
  readonly color: string
  /** In the flow's coordinates. */
  readonly cursor: Position | null
  readonly selection: readonly string[]
  /** The box around a drag that is too large to show node by node, in the flow's coordinates. */
  readonly dragBox: Box | null
}

const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value)

/** Presence comes from other programs, so every field is checked. */
export function person(of: Presence): Person {
  const me = of.slots['']
  const cursor = of.slots[CURSOR]
  const [name, color] = [read(me, ['name']), read(me, ['color'])]
  const [x, y] = [read(cursor, ['x']), read(cursor, ['y'])]
  const selection = read(me, ['selection'])
  const box = read(of.slots[DRAG], ['box'])
  const [left, top, width, height] = Array.isArray(box) && box.every(isNumber) ? box : []
  return {
    clientId: of.clientId,
    userId: of.userId,
    name: typeof name === 'string' && name !== '' ? name : of.userId,
    color: isColor(color) ? color : colorOf(of.userId),
    cursor: isNumber(x) && isNumber(y) ? { x, y } : null,
    selection: Array.isArray(selection) ? selection.filter((id): id is string => typeof id === 'string') : [],
    dragBox:
      isNumber(left) && isNumber(top) && isNumber(width) && isNumber(height)
        ? { x: left, y: top, width, height }
        : null,
  }
}

/** A colour and nothing else: an image would be loaded from wherever its address points. */
function isColor(value: unknown): value is string {
  if (typeof value !== 'string') return false
  if (typeof CSS !== 'undefined') return CSS.supports('color', value)
  return /^(#[\da-f]{3,8}|[a-z]{1,24}|(rgb|hsl)a?\([\d\s.,%/]{1,40}\))$/i.test(value)
}

/** The same colour for the same user on every screen, readable under white text. */
export function colorOf(userId: string): string {
  let hash = 0
  for (const letter of userId) hash = (hash * 31 + letter.codePointAt(0)!) % 360
  return `hsl(${(hash * 137) % 360} 65% 42%)`
}

/** A drag or resize in presence: `[id, x, y, width?, height?]` for each node, rounded to a tenth. */
export function dragState(nodes: readonly { node: GraphNode; leaves: readonly Leaf[]; box: Box }[]): Json {
  const tenth = (value: unknown): number => (isNumber(value) ? Math.round(value * 10) / 10 : 0)
  if (nodes.length > DRAG_NODES_MAX) {
    const left = Math.min(...nodes.map(({ box }) => box.x))
    const top = Math.min(...nodes.map(({ box }) => box.y))
    const right = Math.max(...nodes.map(({ box }) => box.x + box.width))
    const bottom = Math.max(...nodes.map(({ box }) => box.y + box.height))
    return { box: [left, top, right - left, bottom - top].map(tenth) }
  }
  return {
    nodes: nodes.map(({ node, leaves }) => {
      const sized = leaves.some(({ path }) => path[0] === 'width' || path[0] === 'height')
      const at = [node.id, tenth(node.position.x), tenth(node.position.y)]
      return sized ? [...at, tenth(node.width), tenth(node.height)] : at
    }),
  }
}

interface Preview {
  readonly clientId: string
  /** `[id, x, y, width?, height?]` as it was received. */
  readonly entry: readonly unknown[]
  readonly leaves: readonly Leaf[]
  /** What stood at the leaves when the preview began: once something else stands there, a commit came. */
  readonly over: readonly unknown[]
  /** Set when the drag is over. */
  readonly until: number | null
}

/** Others' drags as a layer over the graph. */
export class Previews {
  readonly byId: Marked<Preview> = new Marked()
  /** By `client node`: drags that ours took over (`null`), and what was shown when its commit came. Until they end. */
  readonly #passed = new Map<string, readonly unknown[] | null>()

  /** What somebody's drag shows of this node. A commit of what it shows ends it, until the drag goes on. */
  leaves(node: GraphNode): readonly Leaf[] | undefined {
    const preview = this.byId.get(node.id)
    if (preview === undefined || equal(standing(node, preview.leaves), preview.over)) return preview?.leaves
    this.#pass(node.id, preview.entry)
    return undefined
  }

  /** We move this node ourselves: what is shown is ours from now on. */
  override(id: string): void {
    this.#pass(id, null)
  }

  #pass(id: string, entry: readonly unknown[] | null): void {
    const preview = this.byId.get(id)
    if (preview === undefined) return
    this.#passed.set(`${preview.clientId} ${id}`, entry)
    this.byId.delete(id)
  }

  /** Takes what others show now. Returns when to look again, `null` if nothing is about to end. */
  update(others: readonly Presence[], node: (id: string) => GraphNode | undefined, now: number): number | null {
    const shown = new Set<string>()
    const dragging = new Set<string>()
    for (const { clientId, slots } of others) {
      const listed = read(slots[DRAG], ['nodes'])
      for (const entry of Array.isArray(listed) ? listed : []) {
        if (!Array.isArray(entry) || typeof entry[0] !== 'string') continue
        const [id, x, y, width, height] = entry
        const key = `${clientId} ${id}`
        dragging.add(key)
        const base = node(id)
        const passed = this.#passed.get(key)
        if (base === undefined || !isNumber(x) || !isNumber(y) || passed === null || equal(passed, entry)) continue
        this.#passed.delete(key)
        shown.add(id)
        const before = this.byId.get(id)
        const same = before?.clientId === clientId && before.until === null ? before : undefined
        if (same !== undefined && equal(same.entry, entry)) continue
        const leaves: Leaf[] = [{ path: ['position'], value: { x, y } }]
        if (isNumber(width)) leaves.push({ path: ['width'], value: width })
        if (isNumber(height)) leaves.push({ path: ['height'], value: height })
        const over = same?.leaves.length === leaves.length ? same.over : standing(base, leaves)
        this.byId.set(id, { clientId, entry, leaves, over, until: null })
      }
    }
    for (const key of this.#passed.keys()) if (!dragging.has(key)) this.#passed.delete(key)
    let next: number | null = null
    for (const [id, preview] of this.byId) {
      if (shown.has(id)) continue
      const base = node(id)
      const until = preview.until ?? now + PREVIEW_MS
      if (base === undefined || now >= until || !equal(standing(base, preview.leaves), preview.over))
        this.byId.delete(id)
      else {
        if (preview.until === null) this.byId.set(id, { ...preview, until })
        next = Math.min(next ?? until, until)
      }
    }
    return next
  }
}

const standing = (node: GraphNode, leaves: readonly Leaf[]): unknown[] => leaves.map(({ path }) => read(node, path))
