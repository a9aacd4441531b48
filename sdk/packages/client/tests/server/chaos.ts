/** Editors that act at random on the real server while everything between breaks (L2). A seed fixes acts and faults. */

import type { Json, JsonObject, Sent } from '../../src/api.ts'
import { ClientShell } from '../../src/client.ts'
import type { GraphShell } from '../../src/graph.ts'
import { openable } from '../../src/indexeddb/device.ts'
import { toState } from '../../src/model/index.ts'
import { Browser, type Tab } from '../indexeddb/pages.ts'
import { fastNow, Mortal } from './mortal.ts'
import type { CuttingProxy } from './proxy.ts'
import type { Server } from './server.ts'

/** Random numbers from a seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

interface Person {
  readonly user: number
  tab: Tab
  readonly environment: Mortal
  readonly client: ClientShell
  readonly graph: GraphShell
}

/** What was said of an operation: that it ended well, or a code. */
type Said = 'completed' | string

/** A process that may end at any time without a word, and is started again. */
export interface Killable {
  kill(): Promise<void>
  start(): Promise<void>
}

export class Chaos {
  private readonly seed: number
  private readonly server: Server
  private readonly proxy: CuttingProxy
  private readonly draw: () => number
  private readonly graphId: string
  private readonly browsers: Browser[] = []
  private people: Person[] = []
  readonly said: Map<string, Said[]> = new Map()
  readonly made: Set<string> = new Set()
  faults = 0
  private nextName = 0

  constructor(seed: number, server: Server, proxy: CuttingProxy) {
    this.seed = seed
    this.server = server
    this.proxy = proxy
    this.draw = seeded(seed)
    this.graphId = `chaos-${seed}`
  }

  private below(count: number): number {
    return Math.floor(this.draw() * count)
  }

  private pick<T>(items: readonly T[]): T | undefined {
    return items[this.below(items.length)]
  }

  /** Lets some people act for some turns, with faults between; then checks that all is as it should be. */
  async run(people: number, turns: number, mortals: readonly Killable[]): Promise<void> {
    for (let count = 0; count < people; count++) {
      const browser = new Browser()
      Object.defineProperty(browser, 'now', { get: fastNow })
      this.browsers.push(browser)
      this.people.push(this.join(browser.tab(), count))
    }
    await Promise.all(this.people.map((person) => person.graph.ready))
    for (let turn = 0; turn < turns; turn++) {
      const person = this.pick(this.people) as Person
      for (let acts = this.below(3); acts >= 0; acts--) {
        const sent = this.act(person.graph)
        if (sent !== null) this.made.add(sent.operationId)
      }
      if (this.draw() < 0.12) await this.fault(mortals)
      else if (this.draw() < 0.5) await pause(this.below(8))
    }
    this.proxy.isDown = false
    await this.rest()
    await this.check()
    for (const { client } of this.people) await client.close()
  }

  private join(tab: Tab, user: number): Person {
    const environment = new Mortal(seeded(this.seed * 1000 + this.nextName++))
    const url = `ws://127.0.0.1:${this.proxy.port}/ws?userId=user-${user}`
    const persist = openable({ name: 'chaos', user: `${user}` }, tab.storages())
    const client = new ClientShell({ url, persist }, environment)
    const graph = client.graph(this.graphId) as GraphShell
    graph.on('settled', ({ operationId }) => this.hear(operationId, 'completed'))
    graph.on('refused', ({ operationId, code }) => this.hear(operationId, code))
    return { user, tab, environment, client, graph }
  }

  private hear(operationId: string, said: Said): void {
    this.said.set(operationId, [...(this.said.get(operationId) ?? []), said])
  }

  private act(graph: GraphShell): Sent | null {
    const { nodes, edges } = graph.getSnapshot()
    const [a, b] = [this.pick(nodes)?.id, this.pick(nodes)?.id]
    const edge = this.pick(edges)?.id
    const kind = nodes.length < 3 ? 0 : this.below(13)
    const id = `n${this.seed}-${this.below(40)}`
    const position = { x: this.below(100), y: this.below(100) }
    const field = this.pick(['title', 'color', 'size']) as string
    const data = { [field]: this.below(5) }
    switch (kind) {
      case 0:
      case 1:
        return graph.createNode({ id, position, ...(a !== undefined && this.draw() < 0.3 ? { parentId: a } : {}) })
      case 2:
      case 3:
      case 4:
        return graph.updateNode(a as string, { data }, this.draw() < 0.2 ? { onConflict: 'overwrite' } : {})
      case 5:
      case 6:
        return graph.moveNode(a as string, position)
      case 7:
        return graph.deleteNode(a as string)
      case 8:
        return graph.createEdge({ id: `e-${a}-${b}`, source: a as string, target: b as string })
      case 9:
        return edge === undefined ? null : graph.deleteEdge(edge)
      case 10:
        return graph.batch(
          'batch',
          (batch) => {
            batch.moveNode(a as string, position)
            batch.updateNode(b as string, { data })
            if (this.draw() < 0.5) batch.createNode({ id: `${id}-b`, position })
          },
          { ifMissing: this.draw() < 0.5 ? 'skip' : 'refuse' },
        )
      case 11:
        graph.undo()?.catch(() => {})
        return null
      default:
        graph.redo()?.catch(() => {})
        return null
    }
  }

  private async fault(mortals: readonly Killable[]): Promise<void> {
    this.faults += 1
    const at = this.below(this.people.length)
    const person = this.people[at] as Person
    switch (this.below(10)) {
      case 0:
      case 1:
        this.proxy.cut(() => this.draw() < 0.5)
        return
      case 2:
        this.proxy.stall(this.below(30), 'to client')
        return
      case 3:
        this.proxy.stall(this.below(30), 'to server')
        return
      case 4:
        this.proxy.isDown = true
        this.proxy.cut()
        setTimeout(() => {
          this.proxy.isDown = false
        }, this.below(200))
        return
      case 5:
        // The browser dies, and a new tab is opened.
        person.environment.kill()
        person.tab.kill()
        this.people[at] = this.join((this.browsers[person.user] as Browser).tab(), person.user)
        return
      case 6: {
        // The tab is loaded again.
        const { session } = person.tab
        person.tab.close()
        person.environment.kill()
        this.people[at] = this.join((this.browsers[person.user] as Browser).tab(session), person.user)
        return
      }
      case 7:
        person.environment.tell('freeze')
        await pause(this.below(30))
        person.environment.tell('wake')
        return
      case 8: {
        // The tab is duplicated: the copy has the session of the original, which goes on.
        if (this.people.length > 4) return
        const copy = (this.browsers[person.user] as Browser).tab(new Map(person.tab.session))
        this.people.push(this.join(copy, person.user))
        return
      }
      default:
        for (const mortal of mortals.filter(() => this.draw() < 0.7)) {
          await mortal.kill()
          await mortal.start()
        }
    }
  }

  /** Waits until nothing is pending, and everybody is where the server is. */
  private async rest(): Promise<void> {
    const patience = Date.now() + 20_000
    for (;;) {
      for (const { environment } of this.people) environment.tell('wake')
      const { version, hash } = (await this.server.get(`/graphs/${this.graphId}/state`)) as {
        version: number
        hash: string
      }
      const isAtRest = this.people.every(({ graph }) => {
        const { point, pending, phase } = graph.machine
        return phase === 'live' && pending.length === 0 && point?.version === version && point.hash === hash
      })
      const queues = await this.queues()
      if (isAtRest && queues.every((count) => count === 0)) return
      if (Date.now() > patience) {
        const people = this.people.map((person) => this.describe(person))
        throw new Error(`no rest: ${JSON.stringify({ server: { version, hash }, queues, people })}`)
      }
      await pause(20)
    }
  }

  /** How many operations each device keeps. Queues of tabs that are gone are adopted by those that live. */
  private queues(): Promise<number[]> {
    return Promise.all(this.browsers.map((browser, user) => queued(browser, `dao:chaos:${user}`)))
  }

  private describe({ graph }: Person): Json {
    const { point, phase, pending } = graph.machine
    const operations = pending.map(({ stored, progress, isInFlight }) => ({
      id: stored.operationId,
      intent: stored.intent as unknown as Json,
      progress,
      isInFlight,
      dependsOn: [...stored.dependsOn],
    }))
    return { point: point as unknown as Json, phase, connection: graph.status.connection, pending: operations }
  }

  private async check(): Promise<void> {
    const state = (await this.server.get(`/graphs/${this.graphId}/state`)) as JsonObject
    const verified = (await this.server.get(`/graphs/${this.graphId}/verify`)) as { ok: boolean }
    if (!verified.ok) throw new Error(`the history is damaged: ${JSON.stringify(verified)}`)
    const { nodes, edges, viewport, attributes } = state
    const expected = canonical({ nodes, edges, viewport, attributes } as JsonObject)
    for (const { graph } of this.people) {
      const { places: _, ...own } = toState(graph.machine.confirmed)
      const found = canonical(own as unknown as JsonObject)
      if (found !== expected) throw new Error(`M1: a client differs\n${found}\n${expected}`)
      const shown = canonical(graph.machine.picture().nodes as unknown as Json)
      const bare = canonical(
        (nodes as JsonObject[]).map(({ createdAt: _c, updatedAt: _u, version: _v, ...rest }) => rest),
      )
      if (shown !== bare) throw new Error(`M1: a picture differs\n${shown}\n${bare}`)
    }
    for (const operationId of new Set([...this.made, ...this.said.keys()])) await this.checkOperation(operationId)
  }

  /** What was said of an operation is what the server knows of it, however often it was said. */
  private async checkOperation(operationId: string): Promise<void> {
    const record = (await this.server.get(`/operations/${operationId}?graphId=${this.graphId}`)) as { status?: unknown }
    const status = record.status as string | number
    const said = this.said.get(operationId) ?? []
    const isDone = status === 'completed'
    for (const one of said) {
      // Refused here, or taken back before it was sent: the server never judged it.
      const isUnknown = status === 404
      const fits = isUnknown ? true : (one === 'completed') === isDone
      if (!fits) throw new Error(`M2: ${operationId} is ${status}, and ${one} was said`)
    }
    if (new Set(said).size > 1) throw new Error(`M2: ${operationId} ended as ${said.join(' and ')}`)
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** Operations that a database keeps. */
function queued(browser: Browser, name: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = browser.factory.open(name)
    request.onerror = () => reject(request.error)
    request.onsuccess = () => {
      const database = request.result
      const count = database.transaction('operations').objectStore('operations').count()
      count.onsuccess = () => {
        database.close()
        resolve(count.result)
      }
    }
  })
}

/** JSON with sorted keys. */
export function canonical(value: Json): string {
  return JSON.stringify(value, (_, each: unknown) => {
    if (typeof each !== 'object' || each === null || Array.isArray(each)) return each
    return Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)))
  })
}
