/**
 * Judges operations as the server does (rules C1, D1 to D6, H11). It decides events with the SDK's model, which the golden
 * vectors pin; conflicts are judged by code of its own, which other vectors pin.
 */

import type { Json, JsonObject, OnConflict } from '../api.ts'
import {
  type Action,
  type Command,
  decide,
  type Entity,
  edgesOfAll,
  type GraphEvent,
  type GraphState,
  isEqual,
  type Limits,
  type Refused,
  withDescendants,
} from '../model/index.ts'
import type { Commit } from './commit.ts'
import { isLeftOut, targetOf } from './targets.ts'
import { valueAt, type Wanted, wantedBy, wantedPatch, wantedWhole } from './wanted.ts'
import { aboutOf, fieldsOf, isDeletionOf, isWork, type Keys, meet, pointerOf, type Write } from './writes.ts'

/** An operation as it arrives. */
export interface Asked {
  readonly userId: string
  readonly clientId: string
  readonly named: boolean
  readonly clientVersion?: number
  readonly onConflict: OnConflict
  readonly action: Action
}

export interface Conflict {
  readonly entity: string
  readonly id: string
  readonly path: string
  readonly yours: Json
  readonly current: Json
  readonly version: number
  readonly userId: string
  readonly operationId: string
}

export type Verdict =
  | {
      readonly outcome: 'applied' | 'merged' | 'unchanged'
      readonly events: readonly GraphEvent[]
      readonly skipped: readonly { readonly index: number; readonly code: string }[]
    }
  | {
      readonly code: string
      readonly message: string
      readonly index?: number
      readonly conflicts?: readonly Conflict[]
    }

export interface Graph {
  readonly state: GraphState
  readonly commits: readonly Commit[]
  readonly limits: Limits
}

/** Judges one command, or an atomic batch member by member. */
export function judge(graph: Graph, asked: Asked): Verdict {
  const { action } = asked
  if (action.type !== 'BATCH') return new Judgement(graph, graph.state, asked, action).verdict()
  const then = graph.state.fork()
  const events: GraphEvent[] = []
  const skipped: { index: number; code: string }[] = []
  let isMerged = false
  for (const [index, member] of action.operations.entries()) {
    const onConflict = member.onConflict ?? asked.onConflict
    const version = member.clientVersion ?? asked.clientVersion
    const own: Asked =
      version === undefined ? { ...asked, onConflict } : { ...asked, onConflict, clientVersion: version }
    const verdict = new Judgement(graph, then, own, member).verdict()
    if ('code' in verdict) {
      if (action.ifMissing !== 'skip' || !isLeftOut(action.operations, member, verdict.code))
        return { ...verdict, index }
      skipped.push({ index, code: verdict.code })
      continue
    }
    isMerged ||= verdict.outcome === 'merged'
    for (const event of verdict.events) then.apply(event, { version: graph.commits.length + 1, timestamp: 0 })
    events.push(...verdict.events)
  }
  return { outcome: events.length === 0 ? 'unchanged' : isMerged ? 'merged' : 'applied', events, skipped }
}

class Judgement {
  readonly #graph: Graph
  readonly #state: GraphState
  readonly #asked: Asked
  readonly #command: Command
  readonly #since: number

  constructor(graph: Graph, state: GraphState, asked: Asked, command: Command) {
    this.#graph = graph
    this.#state = state
    this.#asked = asked
    this.#command = command
    this.#since = asked.clientVersion ?? this.#head
  }

  get #head(): number {
    return this.#graph.commits.length
  }

  verdict(): Verdict {
    if (this.#since > this.#head) return { code: 'VERSION_AHEAD', message: 'another history', conflicts: [] }
    const command = this.#command
    if (command.type === 'BATCH_UPDATE') return this.#ofBatchUpdate(command.payload)
    const target = targetOf(command)
    return target === null ? this.#finish('applied') : this.#ofTarget(target)
  }

  #ofTarget(target: Entity): Verdict {
    const writes = this.#writesTo(target)
    const deletion = this.#deletionOf(target, writes)
    if (deletion !== undefined) return this.#targetDeleted(target, deletion)
    if (this.#current(target) === undefined) return this.#finish('applied')
    let isMerged = writes.some((write) => write.isTheirs)
    const conflicts: Conflict[] = []
    const { onConflict } = this.#asked
    if (isMerged && onConflict === 'reject') conflicts.push(...this.#everything(target, this.#wanted(), writes))
    if (isMerged && onConflict === 'merge') conflicts.push(...this.#ofSameFields(target, writes))
    const unseen = this.#unseenWork()
    if (onConflict === 'overwrite') isMerged ||= unseen.length > 0
    else conflicts.push(...unseen)
    if (conflicts.length > 0) return { code: 'CONFLICT', message: 'others wrote the same', conflicts }
    return this.#finish(isMerged ? 'merged' : 'applied')
  }

  /** What the command wants of its target. */
  #wanted(): Wanted {
    const command = this.#command
    switch (command.type) {
      case 'UPDATE_NODE':
        return wantedPatch(asSent(command.payload.updates), 'node')
      case 'UPDATE_EDGE':
        return wantedPatch(asSent(command.payload.updates), 'edge')
      case 'UPDATE_GRAPH':
        return wantedPatch(command.payload.updates, 'graph')
      case 'UPDATE_NODE_POSITION':
        return { fields: [['position']], value: () => ({ ...command.payload.position }) }
      case 'SET_VIEWPORT':
        return wantedWhole(command.payload)
      default:
        return wantedWhole(null)
    }
  }

  /** Rule D3. */
  #ofSameFields(target: Entity, writes: readonly Write[]): Conflict[] {
    switch (this.#command.type) {
      case 'UPDATE_NODE_POSITION':
      case 'SET_VIEWPORT':
        return [] // the last writer wins
      case 'DELETE_NODE':
      case 'DELETE_EDGE':
        return this.#sameFields(target, this.#wanted(), writes, isUnseen)
      default:
        return this.#sameFields(target, this.#wanted(), writes, (write) => write.isTheirs)
    }
  }

  #sameFields(entity: Entity, wanted: Wanted, all: readonly Write[], counts: (write: Write) => boolean): Conflict[] {
    const lastDeletion = all.findLastIndex((write) => isDeletionOf(write.event))
    const writes = all.slice(lastDeletion + 1)
    return wanted.fields.flatMap((keys) => {
      const touching = writes.filter((write) => fieldsOf(write.event).some((field) => meet(field, keys)))
      const latest = touching.at(-1)
      if (latest === undefined || !touching.some(counts)) return []
      const yours = wanted.value(keys)
      return isAlready(this.#current(entity), keys, yours, entity)
        ? []
        : [this.#conflict(entity, keys, yours, latest.commit)]
    })
  }

  /** Rule D5, `reject`: everything that others touched. */
  #everything(entity: Entity, wanted: Wanted, writes: readonly Write[]): Conflict[] {
    const found = new Map<string, Conflict>()
    for (const write of [...writes].reverse().filter(({ isTheirs }) => isTheirs)) {
      for (const field of fieldsOf(write.event)) {
        const keys = wanted.fields.find((keys) => meet(keys, field)) ?? field
        const pointer = pointerOf(keys)
        const latest = writes.findLast(({ event }) => fieldsOf(event).some((other) => meet(other, keys)))
        if (found.has(pointer) || latest === undefined) continue
        found.set(pointer, this.#conflict(entity, keys, wanted.value(keys), latest.commit))
      }
    }
    return [...found.values()]
  }

  /** Rule D3: work of others on what goes with a deleted node. */
  #unseenWork(): Conflict[] {
    const command = this.#command
    if (command.type !== 'DELETE_NODE' || this.#since === this.#head) return []
    const isReject = this.#asked.onConflict === 'reject'
    const going = withDescendants(this.#state, command.payload.nodeId)
    const along: Entity[] = going.slice(1).map(({ id }) => ({ kind: 'node', id }))
    if (isReject) along.push(...edgesOfAll(this.#state, going).map((id): Entity => ({ kind: 'edge', id })))
    const gone = wantedWhole(null)
    return along
      .flatMap((entity) => {
        const writes = this.#writesTo(entity)
        if (!writes.some((write) => write.isTheirs)) return []
        return isReject ? this.#everything(entity, gone, writes) : this.#sameFields(entity, gone, writes, isUnseen)
      })
      .slice(0, 50)
  }

  #ofBatchUpdate(payload: { nodes?: unknown; edges?: readonly JsonObject[]; viewport?: unknown }): Verdict {
    const decided = decide(this.#state, this.#command, ANY_SIZE)
    const events = decided.ok ? decided.events : this.#eventsRegardless()
    let outcome: 'applied' | 'merged' = 'applied'
    const nodes = ((payload.nodes ?? []) as JsonObject[]).map(({ id }): Entity => ({ kind: 'node', id: id as string }))
    const edges = (payload.edges ?? []).map(({ id }): Entity => ({ kind: 'edge', id: id as string }))
    const viewport: Entity[] = payload.viewport === undefined ? [] : [{ kind: 'viewport', id: 'viewport' }]
    const given = new Set(edges.map(({ id }) => id))
    const removed =
      payload.edges === undefined ? [] : this.#state.edges.inOrder().filter((row) => !given.has(row.entity.id))
    const gone = removed.map((row): Entity => ({ kind: 'edge', id: row.entity.id }))
    const targets = [...nodes, ...edges, ...viewport, ...gone]
    for (const target of targets) {
      const deletion = this.#deletionOf(target, this.#writesTo(target))
      if (deletion !== undefined) return this.#targetDeleted(target, deletion)
    }
    const conflicts: Conflict[] = []
    for (const target of targets) {
      const writes = this.#writesTo(target)
      if (!writes.some((write) => write.isTheirs)) continue
      outcome = 'merged'
      const wanted = wantedBy(events.find((event) => isSameEntity(aboutOf(event), target)))
      if (this.#asked.onConflict === 'reject') conflicts.push(...this.#everything(target, wanted, writes))
      if (this.#asked.onConflict === 'merge') {
        conflicts.push(...this.#sameFields(target, wanted, writes, (write) => write.isTheirs))
      }
    }
    if (conflicts.length > 0) return { code: 'CONFLICT', message: 'others wrote the same', conflicts }
    return this.#finish(outcome)
  }

  /** The changes of a `BATCH_UPDATE` that rule G4 refuses: found on a graph to which all that it refers to is added. */
  #eventsRegardless(): readonly GraphEvent[] {
    const command = this.#command
    if (command.type !== 'BATCH_UPDATE') return []
    const { nodes = [], edges = [] } = command.payload as { nodes?: JsonObject[]; edges?: JsonObject[] }
    const then = this.#state.fork()
    const known = new Set(nodes.map(({ id }) => id))
    const referred = [
      ...nodes.flatMap((node) => [node.parentId, node.parentNode]),
      ...edges.flatMap((edge) => [edge.source, edge.target]),
    ]
    for (const id of referred) {
      if (typeof id !== 'string' || then.nodes.has(id) || known.has(id)) continue
      then.apply({ type: 'NodeCreated', node: { id, position: { x: 0, y: 0 } } }, { version: 0, timestamp: 0 })
    }
    const decided = decide(then, command, ANY_SIZE)
    return decided.ok ? decided.events : this.#withoutParents(then)
  }

  /** The same if parents form a circle: without parents there is none, and parents are fields like others. */
  #withoutParents(then: GraphState): readonly GraphEvent[] {
    const command = this.#command
    if (command.type !== 'BATCH_UPDATE') return []
    return ((command.payload.nodes ?? []) as JsonObject[]).flatMap((node) => {
      const decided = decide(then, { type: 'BATCH_UPDATE', payload: { nodes: [node] } }, ANY_SIZE)
      return decided.ok ? decided.events : []
    })
  }

  /** Decides the events, after all conflicts were ruled out. */
  #finish(outcome: 'applied' | 'merged'): Verdict {
    const decided = decide(this.#state, this.#command, this.#graph.limits)
    if (!decided.ok) return this.#refusal(decided)
    const { events } = decided
    return { outcome: events.length === 0 ? 'unchanged' : outcome, events, skipped: [] }
  }

  /** Rule D4: what others did about it makes a conflict of it. */
  #refusal({ code, message, about }: Refused): Verdict {
    if (code === 'ID_TAKEN' && about !== undefined) {
      const row = about.kind === 'node' ? this.#graph.state.nodes.get(about.id) : this.#graph.state.edges.get(about.id)
      const by = row === undefined ? undefined : this.#graph.commits[row.version - 1]
      const author = by ?? { version: this.#head + 1, userId: this.#asked.userId, operationId: '' }
      const yours = this.#command.payload as unknown as Json
      return { code, message, conflicts: [this.#conflict(about, [], yours, author)] }
    }
    if (about?.missing === undefined || about.field === undefined) return { code, message }
    const node: Entity = { kind: 'node', id: about.missing }
    const deletion = this.#deletionOf(node, this.#writesTo(node))
    if (deletion === undefined) return { code, message }
    return { code, message, conflicts: [this.#conflict(about, [about.field], about.missing, deletion.commit)] }
  }

  #targetDeleted(target: Entity, deletion: Write): Verdict {
    const conflicts = [this.#conflict(target, [], null, deletion.commit)]
    return { code: 'TARGET_DELETED', message: `${target.kind} ${target.id} was deleted`, conflicts }
  }

  #conflict(entity: Entity, keys: Keys, yours: Json, by: Pick<Commit, 'version' | 'userId' | 'operationId'>): Conflict {
    const { version, userId, operationId } = by
    const current = valueAt(this.#current(entity), keys) ?? null
    return { entity: entity.kind, id: entity.id, path: pointerOf(keys), yours, current, version, userId, operationId }
  }

  #writesTo(entity: Entity): Write[] {
    return this.#graph.commits.slice(this.#since).flatMap((commit) => {
      const events = commit.events.filter((event) => isSameEntity(aboutOf(event), entity))
      return events.map((event) => ({ commit, event, isTheirs: !this.#isOwn(commit) }))
    })
  }

  /** Rule D1. */
  #isOwn(commit: Commit): boolean {
    const { named, userId, clientId } = this.#asked
    return named && commit.named && commit.userId === userId && commit.clientId === clientId
  }

  /** Rule D4: a deletion counts if the entity is not there now, or if somebody else made it. */
  #deletionOf(entity: Entity, writes: readonly Write[]): Write | undefined {
    const isThere = this.#current(entity) !== undefined
    return writes.findLast((write) => isDeletionOf(write.event) && (write.isTheirs || !isThere))
  }

  #current({ kind, id }: Entity): Json | undefined {
    if (kind === 'viewport') return this.#state.viewport
    if (kind === 'graph') return this.#state.attributes
    const table = kind === 'node' ? this.#state.nodes : this.#state.edges
    return table.get(id)?.entity as unknown as Json | undefined
  }
}

const ANY_SIZE: Limits = { entityBytes: Number.MAX_SAFE_INTEGER, nodes: 1e9, edges: 1e9 }

function isUnseen(write: Write): boolean {
  return write.isTheirs && isWork(write.event)
}

function isSameEntity(one: Entity, other: Entity): boolean {
  return one.kind === other.kind && one.id === other.id
}

/** Updates without what an update can't write (rule G2). */
function asSent(updates: JsonObject): JsonObject {
  const ignored = ['id', 'createdAt', 'updatedAt', 'version']
  const kept = Object.entries(updates).filter(([key]) => !ignored.includes(key))
  return Object.fromEntries(kept)
}

function isAlready(entity: Json | undefined, keys: Keys, yours: Json, { kind }: Entity): boolean {
  const stands = valueAt(entity, keys)
  if (keys.length === 0) return isEqual(stands, yours)
  const above = valueAt(entity, keys.slice(0, -1))
  if (typeof above !== 'object' || above === null || Array.isArray(above)) return false
  if (stands === undefined) return yours === null
  if (yours === null) return false
  if (kind === 'node' && keys.length === 1 && keys[0] === 'position') {
    return isEqual({ ...(stands as JsonObject), ...(yours as JsonObject) }, stands)
  }
  const isObject = (value: Json): boolean => typeof value === 'object' && value !== null && !Array.isArray(value)
  // A leaf that is an object is an empty one.
  return isObject(yours) ? isObject(stands) : isEqual(stands, yours)
}
