/**
 * The objects that React Flow is given. React Flow keeps what it knows of a node for as long as the object is the same,
 * so an object is only replaced when something in it changed, and unchanged parts of it are the same objects too.
 */
import { equal, type Fields, isPlain, type Leaf, writeAll } from './leaves.ts'

/** Notes of one screen. Replaced, never changed. */
export interface Screen {
  readonly selected?: boolean
  readonly dragging?: boolean
  readonly resizing?: boolean
  readonly measured?: { width: number; height: number }
  /** Fields that are never sent: listed in `local`, or not JSON. */
  readonly fields?: readonly Leaf[]
  /** Size and place that React Flow gave a parent to fit its children. They last until the stored ones change. */
  readonly fit?: readonly Leaf[]
}

/** Everything a view is made of. Equal parts make the same view. */
export type Parts = readonly [entity: Fields, screen: Screen | undefined, ...layers: (readonly Leaf[] | undefined)[]]

/** Where an object of the view comes from. React Flow's `updateNode` copies it along, so an update knows what it changed. */
export interface Origin {
  readonly flow: unknown
  readonly view: Fields
}

/** The key of an {@link Origin}. A symbol: not listed by `Object.keys`, not in JSON, copied by `{...node}`. */
export const ORIGIN: unique symbol = Symbol.for('dao-api.origin')

const NO_DATA: Fields = Object.freeze({})

/** Keeps one view for each id. */
export class ViewCache {
  readonly #flow: unknown
  readonly #byId = new Map<string, { parts: Parts; view: Fields }>()

  constructor(flow: unknown) {
    this.#flow = flow
  }

  get size(): number {
    return this.#byId.size
  }

  get(id: string): Fields | undefined {
    return this.#byId.get(id)?.view
  }

  view(id: string, parts: Parts): Fields {
    const before = this.#byId.get(id)
    if (before !== undefined && sameParts(before.parts, parts)) return before.view
    const view = this.#make(parts, before?.view)
    this.#byId.set(id, { parts, view })
    return view
  }

  /** Forgets what is not shown any more. Returns the forgotten ids. */
  keepOnly(ids: ReadonlySet<string>): string[] {
    if (this.#byId.size === ids.size) return []
    const forgotten = [...this.#byId.keys()].filter((id) => !ids.has(id))
    for (const id of forgotten) this.#byId.delete(id)
    return forgotten
  }

  #make([entity, screen, ...layers]: Parts, before: Fields | undefined): Fields {
    let now = entity
    for (const leaves of [screen?.fit, ...layers, screen?.fields]) if (leaves !== undefined) now = writeAll(now, leaves)
    const view: Record<PropertyKey, unknown> = { ...now }
    view.data ??= NO_DATA
    if (screen?.selected !== undefined) view.selected = screen.selected
    if (screen?.dragging !== undefined) view.dragging = screen.dragging
    if (screen?.resizing !== undefined) view.resizing = screen.resizing
    if (screen?.measured !== undefined) view.measured = screen.measured
    if (before !== undefined) {
      let same = Object.keys(before).length === Object.keys(view).length
      for (const key of Object.keys(view)) {
        view[key] = shared(before[key], view[key])
        same &&= view[key] === before[key] && Object.hasOwn(before, key)
      }
      if (same) return before
    }
    view[ORIGIN] = { flow: this.#flow, view: view as Fields } satisfies Origin
    return view as Fields
  }
}

/** `after`, with the parts of `before` that are equal. */
function shared(before: unknown, after: unknown): unknown {
  if (before === after || equal(before, after)) return before
  if (!isPlain(before) || !isPlain(after)) return after
  let copy: Record<string, unknown> | null = null
  for (const key of Object.keys(after)) {
    const kept = Object.hasOwn(before, key) ? shared(before[key], after[key]) : after[key]
    if (kept !== after[key]) {
      copy ??= { ...after }
      copy[key] = kept
    }
  }
  return copy ?? after
}

function sameParts(a: Parts, b: Parts): boolean {
  return a.length === b.length && a.every((part, i) => part === b[i])
}

/** Where a node or edge came from, if it is a view or a copy of one. */
export function originOf(entity: object): Origin | undefined {
  return ORIGIN in entity ? (entity[ORIGIN] as Origin) : undefined
}
