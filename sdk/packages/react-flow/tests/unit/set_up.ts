/** A flow store over a graph in memory, with a clock and frames that a test moves. */
import type { GraphEdge, GraphNode } from '@dao-api/client'
import { FlowStore } from '../../src/flow_store.ts'
import type { FlowOptions } from '../../src/options.ts'
import { MemoryGraph } from './memory_graph.ts'

export class Clock {
  time = 1000
  #timers: { at: number; run: () => void }[] = []
  #frames: (() => void)[] = []
  now = (): number => this.time
  after = (ms: number, run: () => void): (() => void) => {
    const timer = { at: this.time + ms, run }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer)
    }
  }
  frame = (run: () => void): (() => void) => {
    this.#frames.push(run)
    return () => {
      this.#frames = this.#frames.filter((other) => other !== run)
    }
  }
  /** Lets time pass; what is due runs in its order. */
  pass(ms: number): void {
    const end = this.time + ms
    for (;;) {
      const [next] = this.#timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)
      if (next === undefined) break
      this.#timers = this.#timers.filter((timer) => timer !== next)
      this.time = Math.max(this.time, next.at)
      next.run()
    }
    this.time = end
  }
  paint(): void {
    for (const run of this.#frames.splice(0)) run()
  }
}

export interface SetUp {
  graph: MemoryGraph
  store: FlowStore
  clock: Clock
  /** How often the snapshot changed. */
  emissions: () => number
  warnings: string[]
  stop: () => void
}

export function setUp(nodes: GraphNode[] = [], edges: GraphEdge[] = [], options: FlowOptions = {}): SetUp {
  const graph = new MemoryGraph(nodes, edges)
  const clock = new Clock()
  const warnings: string[] = []
  let ids = 0
  const lease = { open: () => graph, retain: () => ({ graph, release: graph.release }) }
  const store = new FlowStore(lease, options, {
    leaving: () => () => {},
    now: clock.now,
    after: clock.after,
    frame: clock.frame,
    newId: () => `new-${++ids}`,
    warn: (message) => void warnings.push(message),
  })
  let count = 0
  const stop = store.subscribe(() => void count++)
  return { graph, store, clock, emissions: () => count, warnings, stop }
}

/** The end of the present task: what was collected is sent by then. */
export const endOfTask = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0))

export const node = (id: string, more: Partial<GraphNode> = {}): GraphNode => ({
  id,
  position: { x: 0, y: 0 },
  data: { label: id },
  ...more,
})
export const edge = (id: string, source: string, target: string): GraphEdge => ({ id, source, target })
