/** Several clients, their devices and connections, and one model server, driven step by step by a plan. */
// Long because: one class, whose steps share the state of one world.

import type { Effect, Input } from '../../src/machine/effects.ts'
import type { Pending, StoredOperation } from '../../src/machine/operation.ts'
import { type Action, picture } from '../../src/model/index.ts'
import { type Frame, ModelServer } from '../../src/testing/server.ts'
import { canonical } from '../model/canonical.ts'
import { actOf, FIELDS } from './acts.ts'
import { makesAgain } from './again.ts'
import { type Circumstances, Outcomes, type Told } from './outcomes.ts'
import type { Plan, Step } from './plan.ts'
import { broken, checkExpected, checkPicture, checkQueue, checkTransaction, fieldOf, Watch } from './rules.ts'
import { Tab } from './tab.ts'
import { brief, content } from './text.ts'

const USERS = ['ada', 'ada', 'bob', 'eve', 'bob'] as const
const TTL_MS = 100_000
const LIMITS = { messageBytes: 1 << 20, operationTtlMs: TTL_MS }
/** Rounds in which everything must come to rest. */
const ROUNDS_MAX = 300

export class World {
  private readonly server: ModelServer
  private readonly tabs: Tab[]
  private readonly watch: Watch
  private readonly authors = new Map<string, { tab: Tab; at: number; shown: ReadonlySet<string> }>()
  private readonly outcomes = new Outcomes()
  private now = 1_000_000
  private at = 0
  private ids = 0
  private values = 0
  private hasExpired = false
  private readonly isUndoLate: boolean

  /** Told what every machine is told and says. */
  private readonly trace: ((line: string) => void) | undefined

  constructor({ clients, isUndoLate }: Plan, trace?: (line: string) => void) {
    this.isUndoLate = isUndoLate
    this.trace = trace
    this.watch = new Watch((operationId) => this.authors.get(operationId))
    this.server = new ModelServer(TTL_MS, {
      committed: (commit, before, frame) => this.watch.committed(commit, before, this.server.state, frame),
      ended: (operationId, answer) => this.outcomes.ended(operationId, answer),
    })
    this.tabs = Array.from(
      { length: clients },
      (_, index) => new Tab(USERS[index] as string, `tab-${index}`, !isUndoLate),
    )
  }

  run(plan: Plan): void {
    for (const tab of this.tabs) {
      this.drive(tab, { type: 'loaded', stored: tab.disk.stored() })
      this.connect(tab)
    }
    for (const step of plan.steps) {
      this.at += 1
      this.step(step)
    }
    this.rest()
    this.checkRest()
    this.checkUndoRedo(this.tabs[this.values % this.tabs.length] as Tab)
  }

  private step({ kind, client, a, b }: Step): void {
    const tab = this.tabs[client % this.tabs.length] as Tab
    switch (kind) {
      case 'act':
        this.act(tab, a, b)
        break
      case 'up':
        this.up(tab, 1 + (a % 4))
        break
      case 'down':
        this.down(tab, 1 + (a % 5))
        break
      case 'cut':
        this.cut(tab, a, b)
        break
      case 'connect':
        this.connect(tab)
        break
      case 'refuse':
        this.server.temporaryRefusals = 1 + (a % 3)
        break
      case 'flush':
        tab.disk.flush(1 + (a % 4))
        break
      case 'reload':
        this.reload(tab, a, b)
        break
      case 'adopt':
        this.adopt(tab, a)
        break
      case 'replace':
        this.replace(a)
        break
      case 'wait':
        this.wait(a)
        break
      case 'undo':
      case 'redo':
        this.reverse(tab, kind)
        break
      case 'tick':
        this.server.prefersSnapshots = a % 3 === 0
        this.drive(tab, { type: this.isUndoLate && b % 2 === 0 ? 'learned' : 'tick' })
        break
    }
  }

  private act(tab: Tab, a: number, b: number): void {
    const { action, onConflict } = actOf(a, b, tab.machine.shown(), () => `v${++this.values}`)
    const operationId = this.newId(tab)
    this.expect(tab, operationId, action)
    this.drive(tab, { type: 'act', operationId, action, options: { onConflict } })
    const isMade = tab.machine.pending.some(({ stored }) => stored.operationId === operationId)
    if (isMade && tab.machine.history.canRedo) broken('U13', 'an edit left something that can be redone')
  }

  private newId(tab: Tab): string {
    const operationId = `op-${++this.ids}`
    const shown = new Set(tab.picture.nodes.map(({ id }) => id))
    this.authors.set(operationId, { tab, at: this.at, shown })
    tab.open.add(operationId)
    return operationId
  }

  /** What is written shows until the server has said what became of it. */
  private expect(tab: Tab, operationId: string, action: Action): void {
    if (action.type === 'UPDATE_NODE_POSITION' || action.type === 'SET_VIEWPORT' || action.type === 'UPDATE_GRAPH')
      return
    if (action.type !== 'UPDATE_NODE') {
      tab.expected.clear()
      return
    }
    const { nodeId, updates } = action.payload
    for (const field of FIELDS) {
      const value = fieldOf({ id: nodeId, position: { x: 0, y: 0 }, ...updates }, field)
      const key = `${nodeId}.${field}`
      if (value === null) tab.expected.delete(key)
      if (typeof value === 'string') tab.expected.set(key, { operationId, nodeId, field, value })
    }
  }

  private reverse(tab: Tab, direction: 'undo' | 'redo'): boolean {
    const count = tab.machine.idsNeeded(direction)
    if (count === 0) return false
    tab.expected.clear()
    const unused = new Set(Array.from({ length: count }, () => this.newId(tab)))
    this.drive(tab, { type: direction, operationIds: [...unused] })
    for (const { stored } of tab.machine.pending) unused.delete(stored.operationId)
    for (const id of unused) if (this.outcomes.lastTold(id) === undefined) tab.open.delete(id)
    return true
  }

  private up(tab: Tab, count: number): void {
    for (const frame of tab.up.splice(0, count)) this.receive(tab, frame)
  }

  private receive(tab: Tab, frame: Frame): void {
    if (tab.session === null) return
    const id = (frame.type === 'BATCH' ? frame.batchId : frame.operationId) as string | undefined
    if (id !== undefined) this.outcomes.arrived(id)
    // A state does not tell two apart that had one id and were made in one millisecond, so the second comes later here.
    if (makesAgain(frame, this.server.commits, this.server.state, this.now)) this.now += 1
    this.server.now = this.now
    this.server.receive(tab.session, frame)
  }

  private down(tab: Tab, count: number): void {
    for (let left = count; left > 0 && tab.session !== null; left--) {
      const frame = tab.session.out.shift()
      if (frame === undefined) return
      this.drive(tab, { type: 'frame', frame: frame as never })
    }
  }

  /** The connection ends. Of what was on its way, a first part arrives. */
  private cut(tab: Tab, a: number, b: number): void {
    if (tab.session === null) return
    this.up(tab, a % (tab.up.length + 1))
    if (tab.session !== null) this.down(tab, b % (tab.session.out.length + 1))
    this.hangUp(tab)
  }

  private hangUp(tab: Tab): void {
    if (tab.session === null) return
    this.server.disconnect(tab.session)
    tab.session = null
    tab.up.length = 0
    this.drive(tab, { type: 'disconnected' })
  }

  private connect(tab: Tab): void {
    if (tab.session !== null) return
    tab.session = this.server.connect(tab.userId)
    this.drive(tab, { type: 'connected', limits: LIMITS })
  }

  /** The program ends without notice. What it sent may have arrived, and a first part of the transactions is there. */
  private kill(tab: Tab, a: number, b: number): void {
    this.up(tab, a % (tab.up.length + 1))
    if (tab.session !== null) this.server.disconnect(tab.session)
    tab.session = null
    tab.kill(b % (tab.disk.begun.length + 1))
    const kept = new Set(tab.disk.operationIds)
    for (const id of tab.open) if (!kept.has(id)) tab.open.delete(id)
    // What the device does not know to have ended goes on, if it ended here alone, or in a history that is no more.
    for (const id of kept) if (this.outcomes.forgetLocal(id, this.circumstances())) tab.open.add(id)
    for (const [key, { operationId }] of tab.expected) if (!kept.has(operationId)) tab.expected.delete(key)
  }

  private reload(tab: Tab, a: number, b: number): void {
    this.kill(tab, a, b)
    // A device gives a tab its own queue. What it had taken over it takes over again.
    const others = tab.disk.stored().operations.filter(({ clientId }) => clientId !== tab.clientId)
    for (const disk of [tab.disk, tab.diskAfter])
      disk.write(others.map((operation) => ({ drop: 'operation', operation })))
    if (others.length > 0) tab.expected.clear()
    this.drive(tab, { type: 'loaded', stored: tab.disk.stored() })
    if (others.length > 0) this.takeOver(tab, others)
  }

  private takeOver(taker: Tab, operations: readonly StoredOperation[]): void {
    for (const operation of operations) {
      for (const disk of [taker.disk, taker.diskAfter]) disk.write([{ put: 'operation', operation }])
      taker.open.add(operation.operationId)
    }
    taker.expected.clear()
    this.drive(taker, { type: 'adopted', operations })
  }

  /** A tab is closed, and another one of its user takes over its queue; a new tab takes its place (rule P7). */
  private adopt(tab: Tab, a: number): void {
    this.kill(tab, a, a)
    const heirs = this.tabs.filter((other) => other.userId === tab.userId && other !== tab)
    const { operations } = tab.disk.stored()
    const heir = heirs[a % Math.max(1, heirs.length)] ?? tab
    const index = this.tabs.indexOf(tab)
    const fresh = new Tab(tab.userId, `tab-${index}-${this.at}`, !this.isUndoLate)
    this.tabs[index] = fresh
    const taker = heir === tab ? fresh : heir
    if (taker === fresh) this.drive(fresh, { type: 'loaded', stored: fresh.disk.stored() })
    this.takeOver(taker, operations)
    if (taker !== fresh) this.drive(fresh, { type: 'loaded', stored: fresh.disk.stored() })
  }

  private replace(a: number): void {
    this.server.replaceHistory(Math.max(0, this.server.version - 1 - (a % 6)))
    for (const tab of this.tabs) {
      tab.expected.clear()
      // How these ended in the lost history, and was forgotten, says nothing about this one.
      for (const { stored } of tab.machine.pending) {
        if (!tab.toldNow.has(stored.operationId)) this.outcomes.forget(stored.operationId)
      }
    }
  }

  /**
   * Mostly a little. Sometimes longer than operations are remembered: by then, what was on its way has arrived or is lost,
   * and devices have written what they had to. Not while somebody may have sent an operation and not know it: that a crash
   * falls between a send and its record, and the device then stays away for a day, is a risk that is taken.
   */
  private wait(a: number): void {
    const isUnknown = ({ stored }: Pending): boolean =>
      stored.sentAt === null && this.outcomes.hasArrived(stored.operationId)
    if (a % 8 !== 0 || this.tabs.some((tab) => tab.machine.pending.some(isUnknown))) {
      this.now += 1 + (a % 500)
      return
    }
    for (const [index, tab] of this.tabs.entries()) {
      this.up(tab, tab.up.length)
      if (((a >>> index) & 16) === 0) this.down(tab, Number.POSITIVE_INFINITY)
      this.hangUp(tab)
      tab.disk.flush(tab.disk.begun.length)
    }
    this.now += TTL_MS * 1.5
    this.hasExpired = true
  }

  private drive(tab: Tab, input: Input): void {
    const effects = tab.machine.step(input, this.now)
    if (this.trace !== undefined && (input.type !== 'tick' || effects.length > 0)) {
      this.trace(`${tab.clientId} ${brief(input)} -> ${effects.map(brief).join(' ')}`)
    }
    let mustReconnect = false
    let isTold = false
    for (const effect of effects) {
      isTold ||= effect.type === 'changed'
      mustReconnect ||= effect.type === 'reconnect'
      this.take(tab, effect)
    }
    this.checkStep(tab, isTold || input.type === 'loaded')
    if (mustReconnect) this.hangUp(tab)
  }

  private take(tab: Tab, effect: Effect): void {
    switch (effect.type) {
      case 'send':
        if (tab.session === null) broken('W', 'something is sent without a connection')
        tab.up.push(effect.frame as Frame)
        break
      case 'store':
        checkTransaction(tab, effect.changes, this.server.commits, this.hasExpired)
        tab.disk.begun.push(effect.changes)
        break
      case 'settled':
        this.tell(tab, effect.operationId, effect.outcome)
        break
      case 'refused':
        this.tell(tab, effect.refusal.operationId, { code: effect.refusal.code })
        break
      default:
    }
  }

  private tell(tab: Tab, operationId: string, told: Told): void {
    if (tab.toldNow.has(operationId)) broken('M2', `${operationId} ended twice`)
    tab.toldNow.add(operationId)
    tab.open.delete(operationId)
    this.outcomes.tell(operationId, told, this.circumstances())
  }

  private circumstances(): Circumstances {
    return { era: this.server.era, hasExpired: this.hasExpired }
  }

  private checkStep(tab: Tab, isTold: boolean): void {
    const { machine } = tab
    const before = tab.picture
    tab.picture = machine.picture()
    checkPicture(before, tab.picture, isTold)
    checkQueue(tab)
    for (const node of tab.picture.nodes) {
      for (const field of FIELDS) this.see(tab, fieldOf(node, field))
    }
    this.see(tab, tab.picture.attributes.title)
    checkExpected(tab, this.outcomes)
  }

  private see(tab: Tab, value: unknown): void {
    if (typeof value === 'string' && !tab.seen.has(value)) tab.seen.set(value, this.at)
  }

  /** Nothing fails any more, and everything arrives. */
  private rest(): void {
    this.server.temporaryRefusals = 0
    for (let round = 0; round < ROUNDS_MAX; round++) {
      for (const tab of this.tabs) {
        this.connect(tab)
        this.up(tab, tab.up.length)
        this.down(tab, Number.POSITIVE_INFINITY)
        tab.disk.flush(tab.disk.begun.length)
      }
      const isIdle = this.tabs.every((tab) => tab.up.length === 0 && tab.session?.out.length === 0)
      if (isIdle && this.tabs.every((tab) => tab.machine.pending.length === 0)) return
      if (!isIdle) continue
      this.now += 100
      for (const tab of this.tabs) this.drive(tab, { type: 'tick' })
    }
    const waiting = this.tabs.flatMap((tab) => tab.machine.pending.map(({ stored }) => stored.operationId))
    broken('M5', `these never end: ${waiting}`)
  }

  /** M1, M2: at rest all clients have what the server has, and every operation has ended as the server says. */
  private checkRest(): void {
    const servers = content(this.server.state)
    for (const tab of this.tabs) {
      const { machine } = tab
      if (machine.point?.version !== this.server.version || machine.point.hash !== this.server.hash) {
        broken('M1', `${tab.clientId} is at ${machine.point?.version} of ${this.server.version}`)
      }
      const mine = content(machine.confirmed)
      if (mine !== servers) broken('M1', `${tab.clientId} has\n${mine}\nand the server\n${servers}`)
      if (tab.open.size > 0) broken('M2', `${[...tab.open]} never ended on ${tab.clientId}`)
      if (canonical(tab.picture) !== canonical(picture(machine.confirmed)))
        broken('M1', `${tab.clientId} shows something else`)
    }
    const committed = new Set(this.server.commits.map((commit) => commit.operationId))
    this.outcomes.check(committed, this.circumstances())
  }

  /** U-P1: undo as often as redo changes nothing. */
  private checkUndoRedo(tab: Tab): void {
    const before = canonical(tab.picture)
    let undone = 0
    while (undone < 3 && tab.machine.history.canUndo) {
      const latest = this.ids + 1
      this.at += 1
      if (!this.reverse(tab, 'undo')) break
      this.rest()
      const told = this.outcomes.lastTold(`op-${latest}`)
      if (told === undefined || 'code' in told) break
      // What was as asked already can't be put back.
      if (told.outcome !== 'unchanged' || told.isCancelled) undone += 1
    }
    for (let left = undone; left > 0; left--) {
      this.at += 1
      if (!this.reverse(tab, 'redo')) broken('U-P1', `${left} of ${undone} can't be redone`)
      this.rest()
    }
    const after = canonical(tab.picture)
    if (before !== after) broken('U-P1', `after undoing and redoing ${undone}\n${after}\ninstead of\n${before}`)
    this.checkRest()
  }
}
