/** What must hold after each step, and at each commit. Each check throws with the rule that is broken. */

import type { GraphNode, GraphSnapshot, Json, JsonObject } from '../../src/api.ts'
import type { Change } from '../../src/machine/effects.ts'
import { type GraphState, isEqual } from '../../src/model/index.ts'
import type { Commit } from '../../src/testing/commit.ts'
import type { Frame } from '../../src/testing/server.ts'
import { FIELDS } from './acts.ts'
import type { Outcomes } from './outcomes.ts'
import type { Tab } from './tab.ts'

export function broken(rule: string, what: string): never {
  throw new Error(`${rule}: ${what}`)
}

/** The value of a field of a node; `undefined` if there is none. */
export function fieldOf(node: GraphNode | undefined, field: string): Json | undefined {
  const data = node?.data
  if (typeof data !== 'object' || data === null || Array.isArray(data)) return undefined
  return (data as JsonObject)[field]
}

/** M9: what is equal is the same object; M11: parents come first. */
export function checkPicture(before: GraphSnapshot, after: GraphSnapshot, isTold: boolean): void {
  if (after === before) return
  if (!isTold) broken('M9', 'the picture changed, and nobody was told')
  const lists: [readonly { id: string }[], readonly { id: string }[]][] = [
    [before.nodes, after.nodes],
    [before.edges, after.edges],
  ]
  for (const [old, now] of lists) {
    const known = new Map(old.map((entity) => [entity.id, entity]))
    for (const entity of now) {
      const shown = known.get(entity.id)
      if (shown !== entity && isEqual(shown as Json | undefined, entity as unknown as Json)) {
        broken('M9', `${entity.id} is another object, and equal`)
      }
    }
  }
  const isSame = before.ready && after.ready && isEqual(before as unknown as Json, after as unknown as Json)
  if (isSame) broken('M9', 'a new picture of the same')
  const listed = new Set<string>()
  const all = new Set(after.nodes.map((node) => node.id))
  for (const { id, parentId } of after.nodes) {
    if (parentId !== undefined && all.has(parentId) && !listed.has(parentId))
      broken('M11', `${id} is before its parent`)
    listed.add(id)
  }
}

/** The queue is in the order of making, and the device holds it as it is. */
export function checkQueue({ machine, diskAfter }: Tab): void {
  let last = Number.NEGATIVE_INFINITY
  for (const { stored } of machine.pending) {
    if (stored.seq < last) broken('order', `${stored.operationId} is before what was made earlier`)
    last = stored.seq
    const kept = diskAfter.operation(stored.operationId)
    if (kept === undefined) broken('P1', `${stored.operationId} is pending, and not kept`)
    if (kept.base.version !== stored.base.version || (kept.sentAt === null) !== (stored.sentAt === null)) {
      broken('P1', `${stored.operationId} is kept as it was`)
    }
  }
  if (diskAfter.operationIds.length !== machine.pending.length) broken('P2', 'an operation is kept that has ended')
  if (machine.point !== null && diskAfter.point?.version !== machine.point.version) {
    broken('P2', `version ${diskAfter.point?.version} is kept, and ${machine.point.version} is confirmed`)
  }
}

/** P2: what ends an operation is in the transaction that drops it. `mayForget`: some may be given up. */
export function checkTransaction(
  tab: Tab,
  changes: readonly Change[],
  commits: readonly Commit[],
  mayForget: boolean,
): void {
  tab.diskAfter.write(changes)
  const kept = tab.diskAfter.point
  if (kept === undefined || commits[kept.version - 1]?.hash !== kept.hash) return
  const pending = new Set(tab.machine.pending.map(({ stored }) => stored.operationId))
  const versions = new Map(commits.map((commit) => [commit.operationId, commit.version]))
  for (const id of tab.diskAfter.operationIds) {
    const version = versions.get(id)
    if (version !== undefined && version <= kept.version && !pending.has(id)) {
      broken('P2', `${id} is kept beside its commit ${version}`)
    }
  }
  if (mayForget) return
  for (const change of changes) {
    const version = 'drop' in change ? versions.get(change.operation.operationId) : undefined
    if (version !== undefined && version > kept.version) {
      broken('P2', `an operation is dropped before its commit ${version}`)
    }
  }
}

/** A6, M10: what was written shows until the server has said what became of it. */
export function checkExpected({ expected, machine, picture }: Tab, outcomes: Outcomes): void {
  for (const [key, { operationId, nodeId, field, value }] of expected) {
    const ended = outcomes.truthOf(operationId)
    const isThere =
      ended !== undefined && (ended.code !== undefined || (ended.version as number) <= (machine.point?.version ?? 0))
    if (isThere || outcomes.isRefused(operationId)) {
      expected.delete(key)
      continue
    }
    const node = picture.nodes.find(({ id }) => id === nodeId)
    if (node === undefined || machine.isDoubtful(operationId)) continue
    const shown = fieldOf(node, field)
    if (shown !== value) broken('A6', `${key} is ${shown}, and ${operationId} wrote ${value}`)
  }
}

interface Author {
  readonly tab: Tab
  /** The number of the step in which it was made. */
  readonly at: number
  /** The nodes that were shown then. */
  readonly shown: ReadonlySet<string>
}

/** Looks on at the server: nobody overwrites what they have not seen (M6), and no undo what others wrote (M8). */
export class Watch {
  /** Who wrote each value. */
  private readonly writers = new Map<Json, { userId: string; clientId: string }>()
  /** What each commit left in the fields that it wrote. */
  private readonly left = new Map<string, Map<string, Json | undefined>>()
  /** The undo that brought a node back with the value that its field has since. */
  private readonly broughtBack = new Map<string, { by: Commit; value: Json }>()
  /** The user who wrote each field last. */
  private readonly lastUser = new Map<string, string>()
  private readonly authorOf: (operationId: string) => Author | undefined

  constructor(authorOf: (operationId: string) => Author | undefined) {
    this.authorOf = authorOf
  }

  committed(commit: Commit, before: GraphState, after: GraphState, frame: Frame): void {
    const { operationId, userId, clientId } = commit
    const left = new Map<string, Json | undefined>()
    const ids = new Set<string>()
    before.nodes.rows.each((row) => void ids.add(row.entity.id))
    after.nodes.rows.each((row) => void ids.add(row.entity.id))
    for (const id of ids) {
      const [old, now] = [before.nodes.get(id)?.entity, after.nodes.get(id)?.entity]
      if (old === now) continue
      for (const field of FIELDS) {
        const [key, value] = [`${id}.${field}`, fieldOf(now, field)]
        this.compare(commit, frame, key, fieldOf(old, field), value, left)
        const isBack = old === undefined && commit.commandType === 'UNDO' && value !== undefined
        if (isBack) this.broughtBack.set(key, { by: commit, value })
        else if (left.has(key)) this.broughtBack.delete(key)
      }
    }
    this.compare(commit, frame, 'title', before.attributes.title, after.attributes.title, left)
    this.left.set(operationId, left)
    for (const [field, value] of left) {
      this.lastUser.set(field, userId)
      if (value !== undefined && !this.writers.has(value)) this.writers.set(value, { userId, clientId })
    }
  }

  private compare(
    commit: Commit,
    frame: Frame,
    field: string,
    old: Json | undefined,
    now: Json | undefined,
    left: Map<string, Json | undefined>,
  ): void {
    if (old === now) return
    left.set(field, now)
    if (old === undefined || frame.onConflict === 'overwrite') return
    if (commit.commandType === 'UNDO') this.checkUndo(commit, frame, field, old, now)
    else this.checkSeen(commit, field, old)
  }

  private checkSeen({ operationId, userId, clientId }: Commit, field: string, old: Json): void {
    const writer = this.writers.get(old)
    const author = this.authorOf(operationId)
    if (writer === undefined || author === undefined) return
    if (writer.userId === userId && writer.clientId === clientId) return
    if (writer.userId === userId && this.isOwnByUndo(clientId, author, field, old)) return
    const seenAt = author.tab.seen.get(String(old))
    if (seenAt === undefined || seenAt > author.at) {
      broken('M6', `${operationId} by ${clientId} overwrote ${field} = ${JSON.stringify(old)}, which was not seen`)
    }
  }

  /**
   * Whether the author wrote blindly to a node that an earlier undo of the same client brought back, with more than that
   * client knew of. What an undo put back is its client's own (rule D1), also what its user wrote in another tab.
   */
  private isOwnByUndo(clientId: string, author: Author, field: string, old: Json): boolean {
    const back = this.broughtBack.get(field)
    if (back?.by.clientId !== clientId || back.value !== old) return false
    const undo = this.authorOf(back.by.operationId)
    if (undo === undefined || undo.at >= author.at) return false
    return !author.shown.has(field.slice(0, field.lastIndexOf('.')))
  }

  private checkUndo({ operationId }: Commit, frame: Frame, field: string, old: Json, now: Json | undefined): void {
    const { payload } = frame.command as unknown as { payload: { operations: { operationId: string }[] } }
    const targets = payload.operations.map((target) => target.operationId)
    const isLeft = targets.some((id) => this.left.get(id)?.has(field) && this.left.get(id)?.get(field) === old)
    if (isLeft) return
    // With what it created, an undo deletes what its authors wrote to it since.
    const isGone = now === undefined && targets.some((id) => this.authorOf(id)?.tab.userId === this.lastUser.get(field))
    if (!isGone) broken('M8', `${operationId} took back ${field} = ${JSON.stringify(old)}, which others wrote`)
  }
}
