/** One graph as an editor holds it: a shell around the machine, which does what the machine says. */

import type {
  BatchOptions,
  CommandOptions,
  EntityMeta,
  Graph,
  GraphEdge,
  GraphEvents,
  GraphNode,
  GraphSnapshot,
  Presence,
  Sent,
  Status,
  UndoOutcome,
  UndoState,
  Writes,
} from './api.ts'
import { actOptions, batchOf, writes } from './commands.ts'
import { Emitter, Emitters } from './emitter.ts'
import type { Host } from './host.ts'
import { uuidV7 } from './ids.ts'
import type { ActOptions, Change, Effect, Input, RefusalData } from './machine/effects.ts'
import type { GraphFrame } from './machine/frames.ts'
import { GraphMachine } from './machine/graph_machine.ts'
import { ORIGIN, type Point } from './machine/operation.ts'
import type { Action, Command, GraphState } from './model/index.ts'
import { Outcomes, remember, undoneOf } from './outcomes.ts'
import { Presences } from './presence.ts'
import { labelOf } from './refused.ts'
import { isSameStatus, statusOf } from './status.ts'
import { isUndoKnown, loadUndo } from './undo_model.ts'

export class GraphShell implements Graph {
  readonly id: string
  readonly machine: GraphMachine
  readonly presence: Presences
  readonly ready: Promise<void>
  /** How many hold it: one for each time that it was asked for. Without any it ends when its queue is empty. */
  holders = 0
  /** Whether what the device keeps is taken up: it is not followed before. */
  isLoaded = false
  #isEnded = false
  readonly #host: Host<GraphShell>
  readonly #outcomes: Outcomes
  readonly #pictures: Emitter = new Emitter()
  readonly #statuses: Emitter = new Emitter()
  readonly #histories: Emitter = new Emitter()
  readonly #events = new Emitters<GraphEvents>()
  #shown: GraphSnapshot
  #shownState: GraphState
  /** What the user sees: edits are made on it. */
  #shownPoint: Point = ORIGIN
  #statusNow: Status
  #historyNow: UndoState
  #isReady: () => void = () => {}
  #stopFrame: (() => void) | null = null
  #stopWake: (() => void) | null = null
  #isLearned = false
  /** Operations that the device has not written yet. */
  readonly #unwritten = new Set<string>()

  constructor(id: string, host: Host<GraphShell>) {
    this.id = id
    this.#host = host
    this.machine = new GraphMachine({ graphId: id, clientId: host.clientId(), isKept: host.isKept })
    this.presence = new Presences(
      host.environment,
      () => ({ graphId: id, clientId: this.clientId }),
      (frame) => host.send(frame),
    )
    this.ready = new Promise((resolve) => {
      this.#isReady = resolve
    })
    const nameOf = (id: string): string | undefined => labelOf(this.node(id) ?? this.edge(id))
    this.#outcomes = new Outcomes(
      () => this.#openId(),
      nameOf,
      (operationId, refused, options) =>
        this.step({ type: 'again', operationId, refused, options: { ...options, since: this.#shownPoint } }),
      (operationId) => host.untold.delete(operationId),
    )
    const take = (command: Command, options: CommandOptions): Sent => this.#act(command, actOptions(options))
    Object.assign(this, writes(take, this.#newId))
    this.#shown = this.machine.picture()
    this.#shownState = this.machine.shown()
    this.#statusNow = this.#makeStatus()
    this.#historyNow = this.machine.history
    this.#learn()
  }

  get clientId(): string {
    return this.#host.clientId()
  }

  readonly #newId = (): string => uuidV7(this.#host.environment.now())

  /** The id of an operation. Nobody would send it after the end. */
  #openId(): string {
    if (this.#isEnded) throw new Error(`graph ${this.id} is closed: ask the client for it again`)
    return this.#newId()
  }

  // --- Writing ---------------------------------------------------------------------------------

  declare readonly createNode: Writes<Sent>['createNode']
  declare readonly updateNode: Writes<Sent>['updateNode']
  declare readonly moveNode: Writes<Sent>['moveNode']
  declare readonly replaceNodes: Writes<Sent>['replaceNodes']
  declare readonly deleteNode: Writes<Sent>['deleteNode']
  declare readonly createEdge: Writes<Sent>['createEdge']
  declare readonly updateEdge: Writes<Sent>['updateEdge']
  declare readonly deleteEdge: Writes<Sent>['deleteEdge']
  declare readonly setViewport: Writes<Sent>['setViewport']

  batch(label: string, fill: (batch: Writes<void>) => void, options: BatchOptions = {}): Sent | null {
    const action = batchOf(fill, this.#newId, options)
    return action === null ? null : this.#act(action, actOptions({ label, ...options }))
  }

  #act(action: Action, options: ActOptions): Sent {
    const operationId = this.#openId()
    const sent = this.#outcomes.expect(operationId)
    this.step({ type: 'act', operationId, action, options: { ...options, since: options.since ?? this.#shownPoint } })
    return sent
  }

  undo(): Promise<UndoOutcome> | null {
    return this.#reverse('undo')
  }

  redo(): Promise<UndoOutcome> | null {
    return this.#reverse('redo')
  }

  addUndoStep(operation: { operationId: string; version: number }, label: string): void {
    if (!this.#isEnded) this.step({ type: 'did', ...operation, label })
  }

  #reverse(type: 'undo' | 'redo'): Promise<UndoOutcome> | null {
    const count = this.#isEnded ? 0 : this.machine.idsNeeded(type)
    if (count === 0) return null
    const operationIds = Array.from({ length: count }, () => this.#newId())
    const [first] = operationIds.map((operationId) => this.#outcomes.expect(operationId))
    this.step({ type, operationIds })
    const isMade = (operationId: string): boolean =>
      this.machine.pending.some((pending) => pending.stored.operationId === operationId)
    for (const operationId of operationIds) {
      // Nothing is to be sent for it: what it takes back never left this client.
      if (!isMade(operationId))
        this.#outcomes.settled(operationId, { outcome: 'applied', version: this.status.point.version })
    }
    const undone = first?.settled.then(undoneOf)
    undone?.catch(() => {})
    return undone ?? null
  }

  // --- Reading ---------------------------------------------------------------------------------

  getSnapshot(): GraphSnapshot {
    return this.#shown
  }

  subscribe(listener: () => void): () => void {
    return this.#pictures.on(listener)
  }

  node(id: string): GraphNode | undefined {
    return this.#shownState.nodes.get(id)?.entity
  }

  edge(id: string): GraphEdge | undefined {
    return this.#shownState.edges.get(id)?.entity
  }

  meta(id: string): EntityMeta | undefined {
    return this.machine.meta(id)
  }

  get status(): Status {
    return this.#statusNow
  }

  subscribeStatus(listener: () => void): () => void {
    return this.#statuses.on(listener)
  }

  get others(): readonly Presence[] {
    return this.presence.others
  }

  subscribeOthers(listener: () => void): () => void {
    return this.presence.changed.on(listener)
  }

  get history(): UndoState {
    return this.#historyNow
  }

  subscribeHistory(listener: () => void): () => void {
    return this.#histories.on(listener)
  }

  on<E extends keyof GraphEvents>(event: E, listener: (value: GraphEvents[E]) => void): () => void {
    const stop = this.#events.on(event, listener)
    // Not before the caller knows how to stop it.
    if (event === 'refused') queueMicrotask(() => this.#tellUntold())
    return stop
  }

  close(): void {
    if (this.holders === 0 || --this.holders > 0) return
    this.#host.closed(this)
    // One that goes on for its queue may be asked for again.
    if (!this.#isEnded) this.presence.clear()
  }

  // --- What the client tells -------------------------------------------------------------------

  /** Tells the machine, and does what it says. */
  step(input: Input): void {
    const { environment } = this.#host
    const effects = this.machine.step(input, environment.now())
    this.#host.inspect(this.id, input, effects)
    for (const effect of effects) this.#perform(effect)
    if (!this.#isLearned && input.type !== 'frame') this.#learnSoon()
    this.#stopWake?.()
    const wakeAt = this.machine.wakeAt()
    const tick = (): void => this.step({ type: 'tick' })
    this.#stopWake = wakeAt === null ? null : environment.after(Math.max(0, wakeAt - environment.now()), tick)
    // Not before all is told: a refusal may be tried again at once, and a graph that nobody holds goes on for that.
    if (effects.some(({ type }) => type === 'status')) this.#host.changed(this)
  }

  /** How undo is predicted is loaded when there is something to undo. */
  #learnSoon(): void {
    const { history, pending } = this.machine
    if (history.canUndo || history.canRedo || pending.length > 0) void loadUndo().then(() => this.#learn())
  }

  #learn(): void {
    if (this.#isLearned || this.#isEnded || !isUndoKnown()) return
    this.#isLearned = true
    this.step({ type: 'learned' })
  }

  frame(frame: GraphFrame): void {
    this.step({ type: 'frame', frame })
    if (this.machine.phase === 'refused') this.presence.away()
    if (frame.type === 'SYNC' && this.machine.phase === 'live') {
      this.#host.proven()
      this.presence.live()
    }
  }

  disconnected(): void {
    this.presence.away()
    this.step({ type: 'disconnected' })
  }

  /** The page is seen again. */
  wake(): void {
    this.presence.wake()
  }

  /** The connection is in another state. */
  refresh(): void {
    this.#restate()
  }

  /** It is followed no more. */
  end(): void {
    this.#isEnded = true
    this.#stopFrame?.()
    this.#stopWake?.()
    this.presence.away()
    this.#restate()
  }

  /** Whether it has nothing left to send, and waits for no answer. */
  get isIdle(): boolean {
    return this.machine.pending.length === 0 && !this.machine.isOwed
  }

  #perform(effect: Effect): void {
    switch (effect.type) {
      case 'send':
        this.#host.send(effect.frame)
        break
      case 'store':
        this.#store(effect.changes)
        break
      case 'changed':
        if (effect.isLocal) this.#draw()
        else this.#drawSoon()
        break
      case 'status':
        this.#restate()
        break
      case 'history':
        this.#historyNow = this.machine.history
        this.#histories.emit()
        break
      case 'settled': {
        const { operationId, outcome } = effect
        // Whoever waits for it finds it in the picture.
        if (this.#stopFrame !== null) this.#draw()
        // The server has it, whatever the device has written.
        if (this.#host.isKept) this.#outcomes.persisted(operationId)
        this.#outcomes.settled(operationId, outcome)
        this.#events.emit('settled', { operationId, outcome })
        break
      }
      case 'refused':
        // Whoever is told sees what stands, without what was refused.
        if (this.#stopFrame !== null) this.#draw()
        this.#tellRefused(effect.refusal)
        break
      case 'replaced':
        this.#events.emit('replaced', { discarded: effect.discarded })
        break
      case 'committed':
        this.#drawSoon()
        this.#events.emit('commit', effect.commit)
        break
      case 'presence':
        this.presence.take(effect.frame)
        break
      case 'reconnect':
        this.#host.reconnect()
        break
    }
  }

  /** What nobody listens for now is told to the next who does. */
  #tellRefused(data: RefusalData): void {
    const refusal = this.#outcomes.refused(data)
    if (this.#events.has('refused')) this.#events.emit('refused', refusal)
    else remember(this.#host.untold, data.operationId, { graphId: this.id, refusal: data })
    if (!this.#isEnded) this.#outcomes.follow(data)
  }

  #tellUntold(): void {
    if (this.#isEnded || !this.#events.has('refused')) return
    for (const { graphId, refusal } of [...this.#host.untold.values()]) {
      if (graphId === this.id && this.#host.untold.delete(refusal.operationId)) this.#tellRefused(refusal)
    }
  }

  #drawSoon(): void {
    this.#stopFrame ??= this.#host.environment.onFrame(() => this.#draw())
  }

  /** Makes the picture, and tells it if it is another one. */
  #draw(): void {
    this.#stopFrame?.()
    this.#stopFrame = null
    const before = this.#shown
    this.#shown = this.machine.picture()
    this.#shownPoint = this.machine.point ?? ORIGIN
    if (this.#shown !== before) {
      this.#shownState = this.machine.shown()
      if (this.#shown.ready) this.#isReady()
      this.#pictures.emit()
    }
    this.#restate()
  }

  #restate(): void {
    const now = this.#makeStatus()
    if (isSameStatus(this.#statusNow, now)) return
    this.#statusNow = now
    this.#statuses.emit()
  }

  #makeStatus(): Status {
    const isSafe = this.#host.isKept && this.#host.isDurable() && this.#unwritten.size === 0
    return statusOf(this.machine, this.#isEnded ? 'closed' : this.#host.connection(), this.#shownPoint, isSafe)
  }

  #store(changes: readonly Change[]): void {
    const ids = changes.flatMap((change) =>
      'put' in change && change.put === 'operation' ? [change.operation.operationId] : [],
    )
    for (const id of ids) this.#unwritten.add(id)
    this.#host.write(this.id, changes).then(
      () => {
        for (const id of ids) this.#unwritten.delete(id)
        if (this.#host.isDurable()) for (const id of ids) this.#outcomes.persisted(id)
        this.#restate()
        this.#host.changed(this)
      },
      () => {
        this.#restate()
        this.#host.changed(this)
      },
    )
  }
}
