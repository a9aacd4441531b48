/** How fast the core is at 10,000 nodes and 15,000 edges, beside a plain Yjs document of the same size. */

import * as Y from 'yjs'
import type { Json, JsonObject } from '../src/api.ts'
import type { GraphFrame } from '../src/machine/frames.ts'
import { GraphMachine } from '../src/machine/graph_machine.ts'
import { fold, fromState, type GraphEvent, GraphState, picture, type StateJson } from '../src/model/index.ts'

const NODES = 10_000
const EDGES = 15_000
const LIMITS = { messageBytes: 1 << 20, operationTtlMs: 86_400_000 }

export interface Row {
  readonly what: string
  readonly sdk: number
  readonly unit: string
  readonly target: string
  /** The same with Yjs; `null` where it has nothing of the kind. */
  readonly yjs: number | null
}

const idOf = (kind: string, at: number): string => `0192f0c1-0000-7000-8000-${kind}${String(at).padStart(11, '0')}`
const nodeId = (at: number): string => idOf('a', at % NODES)

function nodeOf(at: number): JsonObject {
  return { id: nodeId(at), position: { x: at, y: at * 2 }, type: 'task', data: { label: `Step ${at}`, color: 'blue' } }
}

function edgeOf(at: number): JsonObject {
  return { id: idOf('e', at), source: nodeId(at), target: nodeId(at * 7 + 1) }
}

function stateJson(version: number): StateJson {
  const meta = { createdAt: 1, updatedAt: 1, version: 1 }
  return {
    version,
    nodes: Array.from({ length: NODES }, (_, at) => ({ ...nodeOf(at), ...meta })),
    edges: Array.from({ length: EDGES }, (_, at) => ({ ...edgeOf(at), ...meta })),
    viewport: { x: 0, y: 0, zoom: 1 },
    attributes: {},
  }
}

function moved(at: number): GraphEvent {
  return { type: 'NodeMoved', nodeId: nodeId(at * 31), position: { x: at, y: -at } }
}

/** The best of several runs: milliseconds of CPU time. */
function best(runs: number, run: () => number): number {
  return Math.min(...Array.from({ length: runs }, run))
}

/** CPU time of this program: what else the machine does counts little. */
function timed(run: () => void): number {
  const began = process.cpuUsage()
  run()
  const { user, system } = process.cpuUsage(began)
  return (user + system) / 1_000
}

function heapUsed(): number {
  global.gc?.()
  global.gc?.()
  return process.memoryUsage().heapUsed
}

const HASH = '0'.repeat(64)

function following(version: number): GraphMachine {
  const machine = new GraphMachine({ graphId: 'g', clientId: 'me' })
  machine.step({ type: 'connected', limits: LIMITS }, 0)
  sync(machine, 'snapshot', version, { state: stateJson(version) as unknown as JsonObject })
  machine.picture()
  return machine
}

function sync(machine: GraphMachine, status: string, version: number, more: JsonObject): void {
  const frame: JsonObject = {
    type: 'SYNC',
    graphId: 'g',
    status,
    version,
    hash: HASH,
    access: 'write',
    settled: [],
    ...more,
  }
  machine.step({ type: 'frame', frame: frame as unknown as GraphFrame }, 1)
}

function commit(machine: GraphMachine, version: number, events: GraphEvent[]): void {
  const about = { operationId: `op-${version}`, userId: 'bob', clientId: 'other', commandType: 'X', outcome: 'applied' }
  const frame = { type: 'STATE_UPDATE', graphId: 'g', version, hash: HASH, timestamp: version, ...about, events }
  machine.step({ type: 'frame', frame: frame as unknown as GraphFrame }, 1)
}

function yjsDocument(): Y.Doc {
  const doc = new Y.Doc()
  doc.transact(() => {
    const nodes = doc.getMap('nodes')
    for (let at = 0; at < NODES; at++) {
      const { id, position, ...rest } = nodeOf(at) as JsonObject & { id: string }
      nodes.set(id, new Y.Map(Object.entries({ id, position, ...rest } as { [key: string]: Json })))
    }
    const edges = doc.getMap('edges')
    for (let at = 0; at < EDGES; at++) edges.set(edgeOf(at).id as string, new Y.Map(Object.entries(edgeOf(at))))
  })
  return doc
}

/** Updates that another document makes, one for each move. */
function yjsUpdates(doc: Y.Doc, count: number): Uint8Array[] {
  const other = new Y.Doc()
  Y.applyUpdate(other, Y.encodeStateAsUpdate(doc))
  const updates: Uint8Array[] = []
  other.on('update', (update: Uint8Array) => updates.push(update))
  const nodes = other.getMap('nodes')
  for (let at = 0; at < count; at++) (nodes.get(nodeId(at * 31)) as Y.Map<unknown>).set('position', { x: at, y: -at })
  return updates
}

function foldRate(): Row {
  const MOVES = 100_000
  const state = fromState(stateJson(1))
  const sdk = best(5, () => {
    let then = state
    return timed(() => {
      for (let at = 0; at < MOVES; at++) then = fold(then, [moved(at)], { version: at, timestamp: at })
    })
  })
  const doc = yjsDocument()
  const updates = yjsUpdates(doc, 20_000)
  const yjs = timed(() => {
    for (const update of updates) Y.applyUpdate(doc, update)
  })
  return {
    what: 'commits of one move folded',
    sdk: MOVES / sdk,
    unit: 'thousand/s',
    target: '>= 150',
    yjs: updates.length / yjs,
  }
}

function emission(): Row {
  const machine = following(1)
  let version = 1
  const run = (): number =>
    timed(() => {
      for (let at = 0; at < 1_000; at++) {
        version += 1
        commit(machine, version, [moved(version)])
        machine.picture()
      }
    }) / 1_000
  return {
    what: 'a commit comes, and the picture is there',
    sdk: best(5, run),
    unit: 'ms',
    target: '<= 0.3',
    yjs: null,
  }
}

function rebase(): Row {
  const machine = following(1)
  for (let at = 0; at < 1_000; at++) {
    const updates = { data: { label: `mine ${at}` } }
    const action = { type: 'UPDATE_NODE' as const, payload: { nodeId: nodeId(at), updates } }
    machine.step({ type: 'act', operationId: `mine-${at}`, action, options: {} }, 1)
  }
  machine.picture()
  let version = 1
  const run = (): number => {
    version += 1
    // Another write to what the oldest of them writes: all are made again on top of it.
    const events: GraphEvent[] = [{ type: 'NodeUpdated', nodeId: nodeId(0), patch: { data: { color: `c${version}` } } }]
    return timed(() => {
      commit(machine, version, events)
      machine.picture()
    })
  }
  return { what: '1,000 pending commands made again', sdk: best(20, run), unit: 'ms', target: '<= 5', yjs: null }
}

function replay(): Row {
  const COMMITS = 10_000
  const sdk = best(3, () => {
    const machine = following(1)
    machine.step({ type: 'disconnected' }, 1)
    machine.step({ type: 'connected', limits: LIMITS }, 1)
    return timed(() => {
      sync(machine, 'replay', 1 + COMMITS, {})
      for (let at = 0; at < COMMITS; at++) commit(machine, 2 + at, [moved(at)])
      machine.picture()
    })
  })
  const doc = yjsDocument()
  const updates = yjsUpdates(doc, COMMITS)
  const yjs = timed(() => {
    for (const update of updates) Y.applyUpdate(doc, update)
  })
  return { what: '10,000 commits replayed, one picture', sdk, unit: 'ms', target: '<= 300', yjs }
}

/** What a graph takes beyond the bytes of its JSON, for one node; a node has one and a half edges here. */
function memory(): Row {
  const text = JSON.stringify(stateJson(1))
  const bytes = text.length
  const before = heapUsed()
  const state = fromState(JSON.parse(text))
  const shown = picture(state)
  const sdk = heapUsed() - before
  const alone = heapUsed()
  const doc = yjsDocument()
  const yjs = heapUsed() - alone
  if (shown.nodes.length !== NODES || doc.getMap('nodes').size !== NODES) throw new Error('not all nodes are there')
  return {
    what: 'memory for a node, beyond its JSON',
    sdk: (sdk - bytes) / NODES / 1_024,
    unit: 'KiB',
    target: '<= 1.5',
    yjs: (yjs - bytes) / NODES / 1_024,
  }
}

function empty(): Row {
  const json = stateJson(1)
  const sdk = best(3, () => timed(() => void picture(fromState(json))))
  const update = Y.encodeStateAsUpdate(yjsDocument())
  const yjs = best(3, () => timed(() => Y.applyUpdate(new Y.Doc(), update)))
  return { what: 'a whole state read, and a picture', sdk, unit: 'ms', target: '', yjs }
}

export function measure(): Row[] {
  if (new GraphState().nodes.size !== 0) throw new Error('a new graph is empty')
  return [memory(), foldRate(), emission(), rebase(), replay(), empty()]
}
