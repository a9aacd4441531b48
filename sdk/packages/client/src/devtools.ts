/**
 * `<dao-devtools>`: what a client does, as it happens. One custom element without a framework.
 *
 * ```ts
 * import { devtools } from '@dao-api/client/devtools'
 * document.body.append(devtools(client, client.graph('team-a.flow-7')))
 * ```
 *
 * While it is in the page, the console finds the same: `__DAO__.get('team-a.flow-7').pending()`.
 */

import type { Client, Graph, Inspected } from './api.ts'
import { type Difference, differences, type Inspectable, type OperationRow, rowsOf } from './devtools/inspect.ts'
import { type Schedule, scheduleOf } from './devtools/schedule.ts'
import { STYLE } from './devtools/style.ts'

export { type Difference, differences, type Inspectable, type OperationRow, rowsOf } from './devtools/inspect.ts'
export { replay, type Schedule, scheduleOf } from './devtools/schedule.ts'

/** Entries of the timeline. The oldest go first. */
const ENTRIES_MAX = 500
const NAME = 'dao-devtools'

type View = 'timeline' | 'pending' | 'difference'

/** A graph in the console of the browser. */
export interface Inspection {
  readonly client: Client
  readonly graph: Graph
  /** The operations that have not ended. */
  pending(): OperationRow[]
  /** What is shown otherwise than confirmed. */
  differences(): Difference[]
  /** The steps since the element is in the page, for {@link replay}. */
  seed(): Schedule
}

declare global {
  /** Graphs by id, while `<dao-devtools>` shows them. */
  var __DAO__: Map<string, Inspection> | undefined
}

/** Defines the element where it is not defined yet, and makes one for a graph of the client. */
export function devtools(client: Client, graph: Graph): HTMLElement {
  if (customElements.get(NAME) === undefined) customElements.define(NAME, elementClass())
  const element = document.createElement(NAME) as HTMLElement & { watch(client: Client, graph: Graph): void }
  element.watch(client, graph)
  return element
}

/** Made when it is needed: where there is no document, importing this must not fail. */
function elementClass(): CustomElementConstructor {
  return class extends HTMLElement {
    #client: Client | null = null
    #graph: Inspectable | null = null
    #view: View = 'timeline'
    #entries: Inspected[] = []
    #reading: AsyncIterator<Inspected> | null = null
    #isDrawing = false
    #stop: () => void = () => {}
    readonly #body: HTMLElement

    constructor() {
      super()
      const root = this.attachShadow({ mode: 'open' })
      root.append(make('style', STYLE))
      const bar = make('nav')
      for (const view of ['timeline', 'pending', 'difference'] as const) {
        const button = make('button', view)
        button.setAttribute('aria-pressed', `${view === this.#view}`)
        button.addEventListener('click', () => {
          this.#view = view
          for (const other of bar.children) other.setAttribute('aria-pressed', `${other === button}`)
          this.#draw()
        })
        bar.append(button)
      }
      const copy = make('button', 'copy as seed')
      copy.addEventListener('click', () => void navigator.clipboard.writeText(JSON.stringify(this.seed())))
      bar.append(copy)
      this.#body = make('div')
      root.append(bar, this.#body)
    }

    watch(client: Client, graph: Graph): void {
      this.#client = client
      this.#graph = graph as Inspectable
      if (this.isConnected) this.connectedCallback()
    }

    connectedCallback(): void {
      if (this.#client === null || this.#graph === null || this.#reading !== null) return
      void this.#read()
      const [client, graph] = [this.#client, this.#graph]
      globalThis.__DAO__ ??= new Map()
      globalThis.__DAO__.set(graph.id, {
        client,
        graph,
        pending: () => rowsOf(graph, Date.now()),
        differences: () => differences(graph),
        seed: () => this.seed(),
      })
    }

    disconnectedCallback(): void {
      this.#stop()
      void this.#reading?.return?.()
      this.#reading = null
      globalThis.__DAO__?.delete(this.#graph?.id ?? '')
      if (globalThis.__DAO__?.size === 0) globalThis.__DAO__ = undefined
    }

    /** The inputs that led here, to be played on a machine again. */
    seed(): Schedule {
      return scheduleOf(this.#graph?.id ?? '', this.#client?.clientId ?? '', this.#entries)
    }

    async #read(): Promise<void> {
      const client = this.#client
      if (client === null) return
      const entries = client.inspect()
      this.#reading = entries
      this.#stop = this.#graph?.subscribeStatus(() => this.#drawSoon()) ?? this.#stop
      this.#drawSoon()
      for await (const entry of entries) {
        this.#entries.push(entry)
        if (this.#entries.length > ENTRIES_MAX) this.#entries.shift()
        this.#drawSoon()
      }
    }

    #drawSoon(): void {
      if (this.#isDrawing) return
      this.#isDrawing = true
      requestAnimationFrame(() => {
        this.#isDrawing = false
        this.#draw()
      })
    }

    #draw(): void {
      const graph = this.#graph
      if (graph === null) return
      const { connection, point, pending, persisted } = graph.status
      const head = make(
        'p',
        `${connection} · v${point.version} · ${pending} pending · ${persisted ? '' : 'not '}persisted`,
      )
      this.#body.replaceChildren(head, this.#table(graph))
    }

    #table(graph: Inspectable): HTMLElement {
      switch (this.#view) {
        case 'timeline':
          return table(['at', 'what', 'content'], this.#entries.slice(-100).reverse().map(lineOf))
        case 'pending':
          return table(
            ['operation', 'what', 'state', 'base', 'age', 'attempts'],
            rowsOf(graph, Date.now()).map(cellsOf),
          )
        case 'difference':
          return table(
            ['entity', 'id', 'confirmed', 'shown'],
            differences(graph).map(({ entity, id, confirmed, shown }) => [entity, id, text(confirmed), text(shown)]),
          )
      }
    }
  }
}

function lineOf(entry: Inspected): string[] {
  const at = new Date(entry.at).toISOString().slice(11, 23)
  if (entry.type === 'frame') {
    const { type } = entry.frame as { type: string }
    return [at, `${entry.direction === 'in' ? '←' : '→'} ${type}`, text(entry.frame)]
  }
  const { type, ...input } = entry.input as { type: string; frame?: { type: string } }
  const effects = entry.effects.map((effect) => (effect as { type: string }).type).join(', ')
  // A frame stands above with its content.
  return [at, type, `${input.frame ? input.frame.type : text(input)} ⇒ ${effects || 'nothing'}`]
}

function cellsOf({ operationId, what, state, base, ageMs, attempts }: OperationRow): string[] {
  return [operationId, what, state, `v${base}`, `${Math.round(ageMs / 1000)} s`, `${attempts}`]
}

function table(heads: readonly string[], rows: readonly (readonly string[])[]): HTMLElement {
  const row = (cells: readonly string[], tag: string): HTMLElement => {
    const line = make('tr')
    line.append(...cells.map((cell) => make(tag, cell)))
    return line
  }
  const found = make('table')
  found.append(row(heads, 'th'), ...rows.map((cells) => row(cells, 'td')))
  return found
}

function make(tag: string, content = ''): HTMLElement {
  const element = document.createElement(tag)
  element.textContent = content
  return element
}

/** Characters of a value that are shown. */
const TEXT_MAX = 300

function text(value: unknown): string {
  const all = JSON.stringify(value) ?? ''
  return all.length > TEXT_MAX ? `${all.slice(0, TEXT_MAX)}…` : all
}
