/** Ada and Bob: each with a client, and so a connection, a queue and an undo stack, of their own. */
import type { Client, Graph } from '@dao-api/client'
import { apiRoot } from '../shared/place.ts'
import { Cable } from './cable.ts'

export interface Person {
  readonly id: 'ada' | 'bob'
  readonly name: string
  /** White text on it is readable. */
  readonly color: string
  readonly client: Client
  readonly cable: Cable
}

export interface Pair {
  readonly ada: Person
  readonly bob: Person
}

/** A page that is mounted twice (StrictMode), or left and entered again at once, keeps its clients. Milliseconds. */
const LINGER_MS = 1_000

let pair: Pair | null = null
let users = 0
let timer: ReturnType<typeof setTimeout> | undefined

function person(id: Person['id'], name: string, color: string): Person {
  const cable = new Cable()
  const url = new URL('ws', apiRoot.replace(/^http/, 'ws'))
  url.searchParams.set('userId', id)
  return { id, name, color, client: cable.client(url.href), cable }
}

export function people(): Pair {
  pair ??= { ada: person('ada', 'Ada', '#4f46e5'), bob: person('bob', 'Bob', '#be185d') }
  return pair
}

/** Keeps the clients until the returned function is called. */
export function retainPeople(): () => void {
  clearTimeout(timer)
  users++
  return () => {
    users--
    timer = setTimeout(() => {
      if (users > 0 || pair === null) return
      void pair.ada.client.close()
      void pair.bob.client.close()
      pair = null
    }, LINGER_MS)
  }
}

/** The graph as each of them has it. */
export type Graphs = Readonly<Record<Person['id'], Graph>>

/** Holds the graph for both, once: to be closed with {@link closeGraphs}. */
export const openGraphs = ({ ada, bob }: Pair, graphId: string): Graphs => ({
  ada: ada.client.graph(graphId),
  bob: bob.client.graph(graphId),
})

export function closeGraphs({ ada, bob }: Graphs): void {
  ada.close()
  bob.close()
}
