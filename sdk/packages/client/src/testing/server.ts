/**
 * A server of one graph in memory, without a clock, a network or random numbers of its own: rules V, C, D, W and U as a
 * client sees them. Whoever drives it moves frames and time, cuts connections, and chooses what goes wrong.
 *
 * Left out are limits, access rights, presence and what concerns many graphs.
 */

import type { Json, JsonObject, OnConflict } from '../api.ts'
import {
  type Action,
  type Change,
  DEFAULT_LIMITS,
  decideUndo,
  entityOf,
  type GraphEvent,
  GraphState,
  isDeletion,
  pathsOf,
  remember,
  tell,
  toState,
} from '../model/index.ts'
import type { Commit } from './commit.ts'
import { type Conflict, judge, type Verdict } from './judge.ts'

export type Frame = JsonObject & { type: string }

/** One connection. The frames in `out` are those that the server sent and nobody has taken yet. */
export interface Session {
  readonly userId: string
  readonly out: Frame[]
  isFollowing: boolean
}

/** How an operation ended. */
export interface Ending {
  readonly fingerprint: string
  readonly userId: string
  readonly endedAt: number
  readonly version: number
  readonly frame: Frame
  readonly status: 'completed' | 'conflict' | 'failed'
}

/** Somebody who looks on. */
export interface Watcher {
  /** Called after each commit, with the state before it and the frame that asked for it. */
  readonly committed?: (commit: Commit, before: GraphState, frame: Frame) => void
  /** Called with the answer to each operation that ended. */
  readonly ended?: (operationId: string, answer: Frame) => void
}

/** An operation as its author sent it. */
interface Operation {
  readonly id: string
  readonly frame: Frame
  readonly fingerprint: string
  readonly named: boolean
  readonly clientId: string
}

const ORIGIN = '0'.repeat(64)

export class ModelServer {
  readonly graphId: string
  readonly sessions: Set<Session> = new Set()
  state: GraphState = new GraphState()
  commits: Commit[] = []
  /** Unix milliseconds. */
  now = 1_000_000
  /** Operations that are refused for now. */
  temporaryRefusals = 0
  /** Whether a state is sent where commits would do. */
  prefersSnapshots = false
  /** How often the history was replaced. */
  era = 0
  readonly ttlMs: number
  readonly endings: Map<string, Ending> = new Map()
  readonly #changes = new Map<string, Change[]>()
  readonly #watcher: Watcher

  constructor(ttlMs: number, watcher: Watcher = {}, graphId = 'g') {
    this.graphId = graphId
    this.ttlMs = ttlMs
    this.#watcher = watcher
  }

  get version(): number {
    return this.commits.length
  }

  get hash(): string {
    return this.#hashOf(this.version) as string
  }

  #hashOf(version: number): string | undefined {
    return version === 0 ? ORIGIN : this.commits[version - 1]?.hash
  }

  connect(userId: string): Session {
    const session: Session = { userId, out: [], isFollowing: false }
    this.sessions.add(session)
    return session
  }

  disconnect(session: Session): void {
    this.sessions.delete(session)
    session.out.length = 0
  }

  /** The history ends at this version, and goes on as another one: a fail-over lost the last commits (rule V4). */
  replaceHistory(version: number): void {
    if (version >= this.version) return
    this.era += 1
    const lost = this.commits.slice(version)
    this.commits = this.commits.slice(0, version)
    for (const { operationId } of lost) this.#changes.delete(operationId)
    for (const [id, ending] of this.endings) if (ending.version > version) this.endings.delete(id)
    this.state = this.commits.reduce((state, commit) => {
      for (const event of commit.events) state.apply(event, commit)
      return state
    }, new GraphState())
    for (const session of this.sessions)
      if (session.isFollowing) session.out.push(this.#sync('snapshot', [], { reset: true }))
  }

  /** Takes one frame of a client. */
  receive(session: Session, frame: Frame): void {
    switch (frame.type) {
      case 'SUBSCRIBE':
        this.#subscribe(session, frame)
        break
      case 'COMMAND':
      case 'BATCH':
        this.#operate(session, this.#read(frame))
        break
      default:
        throw new Error(`the model server knows no ${frame.type}`)
    }
  }

  #subscribe(session: Session, frame: Frame): void {
    const { version, hash } = frame as { version?: number; hash?: string }
    const settled = ((frame.pending ?? []) as string[]).map((operationId): JsonObject => {
      const ending = this.#ending(operationId)
      if (ending === undefined) return { operationId, status: 'unknown' }
      const { status, version } = ending
      const code = ending.frame.code as string | undefined
      return { operationId, status, version, ...(code === undefined ? {} : { code }) }
    })
    session.isFollowing = true
    if (version === undefined) session.out.push(this.#sync('snapshot', settled, {}))
    else if (this.#hashOf(version) !== hash) session.out.push(this.#sync('snapshot', settled, { reset: true }))
    else if (version === this.version) session.out.push(this.#sync('in_sync', settled, {}))
    else if (this.prefersSnapshots) session.out.push(this.#sync('snapshot', settled, {}))
    else {
      session.out.push(this.#sync('replay', settled, {}))
      for (const commit of this.commits.slice(version)) session.out.push(this.#update(commit))
    }
  }

  #sync(status: string, settled: JsonObject[], more: JsonObject): Frame {
    const head: JsonObject = { graphId: this.graphId, version: this.version, hash: this.hash, access: 'write' }
    const frame: Frame = { type: 'SYNC', status, ...head, settled, ...more }
    if (status !== 'snapshot') return frame
    const { nodes, edges, viewport, attributes } = toState(this.state)
    return { ...frame, state: { version: this.version, nodes, edges, viewport, attributes } as unknown as JsonObject }
  }

  #update(commit: Commit): Frame {
    const { events, named: _, ...rest } = commit
    return { type: 'STATE_UPDATE', graphId: this.graphId, ...rest, events: events as unknown as Json }
  }

  #read(frame: Frame): Operation {
    const id = (frame.type === 'BATCH' ? frame.batchId : frame.operationId) as string
    const content = frame.type === 'BATCH' ? [frame.operations, frame.ifMissing ?? 'refuse'] : frame.command
    const named = frame.clientId !== undefined
    return {
      id,
      frame,
      fingerprint: JSON.stringify(content),
      named,
      clientId: (frame.clientId ?? 'connection') as string,
    }
  }

  /** Rules C3, W5, D8, then the judgement. */
  #operate(session: Session, operation: Operation): void {
    const { id, frame, fingerprint } = operation
    const known = this.#ending(id)
    if (known !== undefined) {
      if (known.fingerprint !== fingerprint || known.userId !== session.userId) {
        throw new Error(`C3: ${id} was sent again with other content: ${fingerprint} after ${known.fingerprint}`)
      }
      const { result: _, ...rest } = known.frame
      session.out.push({ ...(rest as Frame), duplicate: true })
      return
    }
    if (this.temporaryRefusals > 0) {
      this.temporaryRefusals -= 1
      this.#revert(session, id, 'OVERLOADED', { temporary: true, retryAfterMs: 100 })
      return
    }
    const after = frame.after as string | undefined
    if (after !== undefined) {
      const dependency = this.#ending(after)
      const isCommitted = this.commits.some((commit) => commit.operationId === after)
      if (dependency === undefined && !isCommitted) {
        this.#revert(session, id, 'DEPENDENCY_PENDING', { temporary: true, retryAfterMs: 100 })
        return
      }
      if (dependency !== undefined && dependency.status !== 'completed') {
        this.#end(session, operation, { code: 'DEPENDENCY_REFUSED', message: `${after} was refused` })
        return
      }
    }
    const { clientVersion, clientHash } = frame as { clientVersion?: number; clientHash?: string }
    if (clientHash !== undefined && this.#hashOf(clientVersion ?? 0) !== clientHash) {
      const resolution = { currentVersion: this.version, hash: this.hash, conflicts: [] }
      this.#revert(session, id, 'HISTORY_REPLACED', { temporary: false, resolution })
      return
    }
    this.#end(session, operation, this.#judge(session, operation))
  }

  #judge(session: Session, { frame, named, clientId }: Operation): Verdict & { result?: JsonObject } {
    const { clientVersion, onConflict = 'merge' } = frame as { clientVersion?: number; onConflict?: OnConflict }
    const command = frame.command as unknown as { type: string; payload: JsonObject } | undefined
    if (command?.type === 'UNDO') return this.#judgeUndo(command.payload, onConflict)
    const action = (command ?? {
      type: 'BATCH',
      operations: frame.operations,
      ifMissing: frame.ifMissing ?? 'refuse',
    }) as unknown as Action
    const asked = { userId: session.userId, clientId, named, onConflict, action }
    const graph = { state: this.state, commits: this.commits, limits: DEFAULT_LIMITS }
    return judge(graph, clientVersion === undefined ? asked : { ...asked, clientVersion })
  }

  #judgeUndo(payload: JsonObject, onConflict: OnConflict): Verdict & { result?: JsonObject } {
    const operations = payload.operations as unknown as { operationId: string; version: number }[]
    const made: Commit[] = []
    for (const { operationId, version } of operations) {
      const commit = this.commits[version - 1]
      const ending = this.#ending(operationId)
      if (commit?.operationId === operationId) made.push(commit)
      else if (ending?.frame.outcome !== 'unchanged') {
        return { code: 'OPERATION_NOT_FOUND', message: `${operationId} is not the commit of version ${version}` }
      }
    }
    const authors = new Set(made.map((commit) => commit.userId))
    const undone = decideUndo(this.state, made, {
      onConflict,
      tell,
      known: (operationId) => this.#changes.get(operationId),
      others: (entity, since) =>
        this.commits.slice(since).some((commit) => {
          const isAbout = (event: GraphEvent): boolean => {
            const about = entityOf(event)
            return about?.kind === entity.kind && about.id === entity.id
          }
          // Neither moves nor deletions count (U6).
          const isWork = (event: GraphEvent): boolean =>
            !isDeletion(event) && pathsOf(event).some((path) => !path.startsWith('/position'))
          return !authors.has(commit.userId) && commit.events.some((event) => isAbout(event) && isWork(event))
        }),
    })
    if (!undone.ok) {
      const conflicts = undone.skipped.map(
        (skip): Conflict => ({ ...skip, version: this.version, userId: '', operationId: '' }),
      )
      return { code: undone.code, message: undone.message, conflicts }
    }
    const { events, result } = undone
    const isPartial = result.skipped.length > 0
    const outcome = events.length === 0 ? 'unchanged' : isPartial ? 'merged' : 'applied'
    return { outcome, events, skipped: [], result: result as unknown as JsonObject }
  }

  /** Records the outcome, commits, tells the followers and answers, in this order. */
  #end(session: Session, operation: Operation, verdict: Verdict & { result?: JsonObject }): void {
    const { id, fingerprint } = operation
    let frame: Frame
    if ('code' in verdict) {
      const { code, message, index, conflicts } = verdict
      const resolution = conflicts && { currentVersion: this.version, conflicts: conflicts as unknown as Json }
      frame = this.#revertFrame(id, code, {
        message,
        temporary: false,
        ...(resolution ? { resolution } : {}),
        ...(index === undefined ? {} : { index }),
      })
      if (code === 'TOO_LARGE') {
        session.out.push(frame)
        return
      }
    } else {
      if (verdict.outcome !== 'unchanged') this.#commit(session, operation, verdict.outcome, verdict.events)
      const { outcome, skipped, result } = verdict
      frame = { type: 'ACK', graphId: this.graphId, operationId: id, version: this.version, hash: this.hash, outcome }
      if (result !== undefined) frame.result = result
      if (skipped.length > 0) frame.skipped = skipped as unknown as Json
    }
    const status = 'code' in verdict ? (verdict.conflicts === undefined ? 'failed' : 'conflict') : 'completed'
    const { userId } = session
    this.endings.set(id, { fingerprint, userId, endedAt: this.now, version: this.version, frame, status })
    this.#watcher.ended?.(id, frame)
    session.out.push(frame)
  }

  #commit(session: Session, operation: Operation, outcome: 'applied' | 'merged', events: readonly GraphEvent[]): void {
    const { id, frame, named, clientId } = operation
    if (this.commits.some((commit) => commit.operationId === id)) throw new Error(`C3: ${id} was committed twice`)
    const before = this.state.fork()
    const command = frame.command as { type: string } | undefined
    const version = this.version + 1
    const commit: Commit = {
      version,
      hash: `${this.era}:${version}:${id}`.padEnd(64, '.'),
      operationId: id,
      userId: session.userId,
      clientId,
      named,
      timestamp: this.now,
      commandType: command?.type ?? 'BATCH',
      outcome,
      events,
    }
    this.#changes.set(id, remember(this.state, events))
    for (const event of events) this.state.apply(event, commit)
    this.commits.push(commit)
    this.#watcher.committed?.(commit, before, frame)
    for (const follower of this.sessions) if (follower.isFollowing) follower.out.push(this.#update(commit))
  }

  #revert(session: Session, operationId: string, code: string, more: JsonObject): void {
    session.out.push(this.#revertFrame(operationId, code, { message: code, ...more }))
  }

  #revertFrame(operationId: string, code: string, more: JsonObject): Frame {
    return { type: 'REVERT', graphId: this.graphId, operationId, code, version: this.version, ...more }
  }

  /** How an operation ended, while that is remembered (rule C3). */
  #ending(operationId: string): Ending | undefined {
    const ending = this.endings.get(operationId)
    return ending !== undefined && this.now - ending.endedAt <= this.ttlMs ? ending : undefined
  }
}
