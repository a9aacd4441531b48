/** Presence of one flow: who else is here, what they drag, and what this screen shows of itself. */
import type { Graph, Json, Presence } from '@dao-api/client'
import { equal } from './leaves.ts'
import { CURSOR, DRAG, type Person, type Previews, person } from './presence.ts'

/** A selection of more entities than this is cut off in presence. */
const SELECTION_MAX = 100

interface Clock {
  now: () => number
  frame: (callback: () => void) => () => void
  after: (ms: number, callback: () => void) => () => void
}

export class People {
  readonly #of: { readonly graph: Graph }
  readonly #clock: Clock
  readonly #previews: Previews
  readonly #changed: () => void
  #list: readonly Person[] = []
  #listOf: readonly Presence[] | null = null
  #selectedBy = new Map<string, readonly Person[]>()
  #shown: Json = null
  #stopFrame: (() => void) | null = null
  #stopTimer: (() => void) | null = null

  /** `changed` is called when a preview of a drag began, moved or ended. */
  constructor(of: { readonly graph: Graph }, previews: Previews, clock: Clock, changed: () => void) {
    this.#of = of
    this.#previews = previews
    this.#clock = clock
    this.#changed = changed
  }

  /** One entry for each tab of somebody else. The same array, and the same persons, while nothing changed. */
  list(): readonly Person[] {
    const others = this.#of.graph.others
    if (this.#listOf === others) return this.#list
    this.#listOf = others
    const before = new Map(this.#list.map((one) => [one.clientId, one]))
    const list = others.map(person).map((one) => {
      const old = before.get(one.clientId)
      return old !== undefined && equal(old, one) ? old : one
    })
    const same = list.length === this.#list.length && list.every((one, i) => one === this.#list[i])
    if (!same) {
      this.#list = list
      this.#selectedBy = selections(list, this.#selectedBy)
    }
    return this.#list
  }

  /** Who has a node or edge selected. The same array while that is the same. */
  selectedBy(id: string): readonly Person[] {
    this.list()
    return this.#selectedBy.get(id) ?? NOBODY
  }

  /** Tells others who this is and what is selected, when that changed. */
  show(me: { name?: string; color?: string } | undefined, ...selected: ReadonlySet<string>[]): void {
    const selection = selected.flatMap((ids) => [...ids]).slice(0, SELECTION_MAX)
    const shown: Json = { ...me, selection }
    if (equal(shown, this.#shown)) return
    this.#shown = shown
    this.#of.graph.presence.set(shown)
  }

  /** Follows others. Returns the way to stop, which takes this screen's presence back. */
  follow(): () => void {
    // Each of the others may tell something thirty times a second; all of it is looked at once a frame.
    const stop = this.#of.graph.subscribeOthers(() => {
      this.#stopFrame ??= this.#clock.frame(() => {
        this.#stopFrame = null
        this.look()
      })
    })
    this.look()
    return () => {
      stop()
      this.#stopFrame?.()
      this.#stopTimer?.()
      this.#stopFrame = null
      this.#stopTimer = null
      for (const slot of ['', CURSOR, DRAG]) this.#of.graph.presence.set(null, slot)
      this.#shown = null
    }
  }

  /** Takes others' drags into the previews, and comes back when one of them is about to end. */
  look(): void {
    this.#stopTimer?.()
    const now = this.#clock.now()
    const next = this.#previews.update(this.#of.graph.others, (id) => this.#of.graph.node(id), now)
    this.#stopTimer = next === null ? null : this.#clock.after(Math.max(0, next - now), () => this.look())
    this.#changed()
  }
}

const NOBODY: readonly Person[] = Object.freeze([])

function selections(list: readonly Person[], before: Map<string, readonly Person[]>): Map<string, readonly Person[]> {
  const by = new Map<string, Person[]>()
  for (const one of list) for (const id of one.selection) by.set(id, [...(by.get(id) ?? []), one])
  // Who moves the pointer is another object each time: what counts here is who it is.
  const who = (people: readonly Person[] | undefined): unknown =>
    people?.map(({ clientId, name, color }) => [clientId, name, color])
  return new Map(
    [...by].map(([id, people]) => [id, equal(who(before.get(id)), who(people)) ? before.get(id)! : people]),
  )
}
