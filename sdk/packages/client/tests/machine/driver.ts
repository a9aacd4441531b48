/** A machine with a hand-written server: what it sends is listed, and answers are written as frames. */

import type { Json, JsonObject } from '../../src/api.ts'
import type { ActOptions, Change, Effect, RefusalData } from '../../src/machine/effects.ts'
import type { GraphFrame } from '../../src/machine/frames.ts'
import { GraphMachine } from '../../src/machine/graph_machine.ts'
import { provideUndo } from '../../src/machine/predict.ts'
import { type Action, decideUndo, type GraphEvent } from '../../src/model/index.ts'

export const LIMITS: { messageBytes: number; operationTtlMs: number } = {
  messageBytes: 1 << 20,
  operationTtlMs: 86_400_000,
}

export function hashOf(version: number, history = 'a'): string {
  return version === 0 ? '0'.repeat(64) : history.repeat(60) + String(version).padStart(4, '0')
}

export class Driver {
  readonly machine: GraphMachine
  now = 1_000_000
  sent: JsonObject[] = []
  effects: Effect[] = []
  changes: Change[] = []
  private nextId = 1

  constructor({ knowsUndo = true, ...options }: { isKept?: boolean; clientId?: string; knowsUndo?: boolean } = {}) {
    this.machine = new GraphMachine({ graphId: 'g', clientId: 'me', ...options })
    if (knowsUndo) this.learn()
  }

  step(input: Parameters<GraphMachine['step']>[0]): Effect[] {
    const effects = this.machine.step(input, this.now)
    this.effects.push(...effects)
    for (const effect of effects) {
      if (effect.type === 'send') this.sent.push(effect.frame)
      if (effect.type === 'store') this.changes.push(...effect.changes)
    }
    return effects
  }

  /** How undo is predicted is there. */
  learn(): Effect[] {
    provideUndo(decideUndo)
    return this.step({ type: 'learned' })
  }

  frame(frame: Omit<GraphFrame, 'graphId'> & { type: string }): Effect[] {
    return this.step({ type: 'frame', frame: { graphId: 'g', ...frame } as GraphFrame })
  }

  connect(): Effect[] {
    return this.step({ type: 'connected', limits: LIMITS })
  }

  /** Connects, and gets a state of these nodes at a version. */
  live(version = 1, nodes: JsonObject[] = [node('a')]): this {
    this.connect()
    this.snapshot(version, nodes)
    this.sent = []
    return this
  }

  snapshot(version: number, nodes: JsonObject[], more: JsonObject = {}): Effect[] {
    const state = { nodes, edges: [], viewport: { x: 0, y: 0, zoom: 1 }, attributes: {} }
    return this.sync('snapshot', version, { state, ...more })
  }

  sync(status: string, version: number, more: JsonObject = {}): Effect[] {
    return this.frame({
      type: 'SYNC',
      status,
      version,
      hash: hashOf(version),
      access: 'write',
      settled: [],
      ...more,
    } as never)
  }

  commit(version: number, operationId: string, events: GraphEvent[], more: JsonObject = {}): Effect[] {
    return this.frame({
      type: 'STATE_UPDATE',
      version,
      hash: hashOf(version),
      operationId,
      userId: 'bob',
      clientId: 'other',
      timestamp: this.now,
      commandType: 'X',
      outcome: 'applied',
      events: events as unknown as Json,
      ...more,
    } as never)
  }

  ack(operationId: string, version: number, more: JsonObject = {}): Effect[] {
    return this.frame({
      type: 'ACK',
      operationId,
      version,
      hash: hashOf(version),
      outcome: 'applied',
      ...more,
    } as never)
  }

  revert(operationId: string, code: string, more: JsonObject = {}): Effect[] {
    return this.frame({
      type: 'REVERT',
      operationId,
      code,
      message: code,
      temporary: false,
      version: 0,
      ...more,
    } as never)
  }

  act(action: Action, options: ActOptions = {}): string {
    const operationId = `op-${this.nextId++}`
    this.step({ type: 'act', operationId, action, options })
    return operationId
  }

  title(text: string, options: ActOptions = {}, nodeId = 'a'): string {
    return this.act({ type: 'UPDATE_NODE', payload: { nodeId, updates: { data: { title: text } } } }, options)
  }

  move(x: number, nodeId = 'a'): string {
    return this.act({ type: 'UPDATE_NODE_POSITION', payload: { nodeId, position: { x, y: 0 } } })
  }

  undo(direction: 'undo' | 'redo' = 'undo'): string {
    const count = this.machine.idsNeeded(direction)
    const operationIds = Array.from({ length: count }, () => `op-${this.nextId++}`)
    this.step({ type: direction, operationIds })
    return operationIds[0] as string
  }

  shownTitle(id = 'a'): Json | undefined {
    const data = this.machine.picture().nodes.find((each) => each.id === id)?.data as JsonObject | undefined
    return data?.title
  }

  settled(operationId: string): string[] {
    return this.effects.flatMap((effect) => {
      if (effect.type === 'settled' && effect.operationId === operationId) return [effect.outcome.outcome as string]
      if (effect.type === 'refused' && effect.refusal.operationId === operationId) return [effect.refusal.code]
      return []
    })
  }

  refusals(): RefusalData[] {
    return this.effects.flatMap((effect) => (effect.type === 'refused' ? [effect.refusal] : []))
  }
}

export function node(id: string, more: JsonObject = {}): JsonObject {
  return { id, position: { x: 0, y: 0 }, createdAt: 1, updatedAt: 1, version: 1, ...more }
}

export function titled(title: string, nodeId = 'a'): GraphEvent {
  return { type: 'NodeUpdated', nodeId, patch: { data: { title } } }
}
