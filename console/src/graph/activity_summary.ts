/** Counts of events by hour, type and user (A6), added up. Pure. */

export interface Counted {
  readonly hour: number
  readonly type: string
  readonly userId: string
  readonly events: number
}

interface Summary {
  readonly events: number
  readonly people: readonly {
    readonly userId: string
    readonly events: number
    readonly types: readonly { readonly type: string; readonly events: number }[]
  }[]
  /** In order. */
  readonly times: readonly {
    readonly at: number
    readonly events: number
    readonly users: readonly { readonly userId: string; readonly events: number }[]
  }[]
}

/** A day is one of the reader's own time zone. */
export function summary(counts: readonly Counted[], unit: 'hour' | 'day'): Summary {
  const people = new Map<string, Map<string, number>>()
  const times = new Map<number, Map<string, number>>()
  let events = 0
  for (const one of counts) {
    events += one.events
    add(people, one.userId, one.type, one.events)
    const at = unit === 'hour' ? one.hour : new Date(one.hour).setHours(0, 0, 0, 0)
    add(times, at, one.userId, one.events)
  }
  return {
    events,
    people: [...people]
      .map(([userId, types]) => ({
        userId,
        events: sum(types),
        types: sorted(types).map(([type, events]) => ({ type, events })),
      }))
      .sort((a, b) => b.events - a.events),
    times: [...times]
      .sort(([a], [b]) => a - b)
      .map(([at, users]) => ({
        at,
        events: sum(users),
        users: sorted(users).map(([userId, events]) => ({ userId, events })),
      })),
  }
}

function add<K>(map: Map<K, Map<string, number>>, key: K, inner: string, events: number): void {
  const found = map.get(key) ?? new Map<string, number>()
  found.set(inner, (found.get(inner) ?? 0) + events)
  map.set(key, found)
}

function sum(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((total, count) => total + count, 0)
}

function sorted(counts: ReadonlyMap<string, number>): [string, number][] {
  return [...counts].sort(([, a], [, b]) => b - a)
}
