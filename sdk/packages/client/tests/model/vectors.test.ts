import { describe, expect, test } from 'vitest'
import type { GraphNode, JsonObject } from '../../src/api.ts'
import {
  between,
  type Change,
  decide,
  decideUndo,
  type Entity,
  entityOf,
  fold,
  fromState,
  type GraphEvent,
  GraphState,
  isDeletion,
  leaves,
  merge,
  pathsOf,
  pathsOverlap,
  remember,
  type StateJson,
  tell,
  toState,
} from '../../src/model/index.ts'
import { canonical } from './canonical.ts'
import {
  type CommitVector,
  type DecideVector,
  type Group,
  LIMITS,
  read,
  stateAfter,
  type UndoVector,
} from './vectors.ts'

/** Runs all cases and tells of the first that differ, with their line in the file. */
function same(pairs: Iterable<readonly [at: string, mine: unknown, servers: unknown]>): void {
  const wrong: string[] = []
  let count = 0
  for (const [at, mine, servers] of pairs) {
    count += 1
    if (canonical(mine) !== canonical(servers))
      wrong.push(`${at}\n  SDK    ${canonical(mine)}\n  server ${canonical(servers)}`)
  }
  expect(count).toBeGreaterThan(0)
  expect(wrong.slice(0, 3).join('\n'), `${wrong.length} of ${count} cases differ`).toBe('')
}

describe('golden vectors', () => {
  test('D2 patches merge, and write the paths, as the server says', () => {
    interface Patch {
      target: JsonObject
      patch: JsonObject
      merged: JsonObject
      leaves: string[]
      between: JsonObject | null
    }
    same(
      read<Patch>('patch').flatMap((one, line) => [
        [`patch.json ${line}: merged`, merge(one.target, one.patch), one.merged],
        [`patch.json ${line}: leaves`, [...leaves(one.patch, false)].sort(), [...one.leaves].sort()],
        [
          `patch.json ${line}: between`,
          between(one.target, one.patch),
          isSame(one.target, one.patch) ? {} : one.between,
        ],
      ]),
    )
  })

  test('D2 paths overlap as the server says', () => {
    type Line = { one: string; other: string; overlaps: boolean } | { event: GraphEvent; paths: string[] }
    same(
      read<Line>('paths').map((line, index) =>
        'event' in line
          ? [`paths.json ${index}`, pathsOf(line.event).sort(), line.paths.sort()]
          : [`paths.json ${index}`, pathsOverlap(line.one, line.other), line.overlaps],
      ),
    )
  })

  test('M1 commits fold to the state that the server has', () => {
    const lines = read<{ commits: CommitVector[]; state: StateJson & JsonObject }>('fold')
    same(
      lines.map(({ commits, state }, line) => [
        `fold.json ${line}`,
        content(toState(stateAfter(commits))),
        content(state),
      ]),
    )
  })

  test('A9 a state that was read, kept and read again is the same, and later commits fold on it', () => {
    same(
      read<{ commits: CommitVector[]; state: StateJson & JsonObject }>('fold').flatMap(({ commits, state }, line) => {
        const half = commits.slice(0, commits.length >> 1)
        const kept = fromState(JSON.parse(JSON.stringify(toState(stateAfter(half)))))
        const whole = commits.slice(half.length).reduce((then, commit) => fold(then, commit.events, commit), kept)
        return [
          [`fold.json ${line}: read`, content(toState(fromState(state))), content(state)],
          [`fold.json ${line}: kept`, content(toState(whole)), content(state)],
        ]
      }),
    )
  })

  test('A3 commands and batches are decided as the server decides', () => {
    const lines = read<Group<DecideVector>>('decide')
    same(
      lines.flatMap(({ commits, cases }, line) => {
        const state = stateAfter(commits)
        const before = canonical(toState(state))
        const decided = cases.map(({ action, ...servers }, index) => {
          const mine = decide(state, action, LIMITS)
          const told = mine.ok
            ? { events: mine.events, skipped: mine.skipped }
            : { code: mine.code, index: mine.index ?? null }
          return [`decide.json ${line}, ${index} ${canonical(action)}`, told, servers] as const
        })
        return [
          ...decided,
          [`decide.json ${line}: deciding changes nothing`, canonical(toState(state)), before] as const,
        ]
      }),
    )
  })

  test('U3 to U8 operations are undone as the server undoes them', () => {
    const lines = read<Group<UndoVector>>('undo')
    same(
      lines.flatMap(({ commits, cases }, line) => {
        const history = new History(commits)
        return cases.map(({ versions, onConflict, verdict }, index) => {
          const mine = history.undo(versions, onConflict)
          return [
            `undo.json ${line}, ${index}: ${versions} ${onConflict}`,
            inOrder(told(mine)),
            inOrder(verdict),
          ] as const
        })
      }),
    )
  })
})

/** Whether JavaScript can't tell the two apart: 1 and 1.0 are one number there. */
function isSame(one: JsonObject, other: JsonObject): boolean {
  return canonical(one) === canonical(other)
}

type Told = UndoVector['verdict']

/** Paths in the order of their texts: JavaScript puts integer-like keys first. */
function inOrder(verdict: Told): Told {
  const { reverted = [], skipped = [], ...rest } = verdict
  const paths = (one: JsonObject): JsonObject => ({ ...one, paths: [...(one.paths as string[])].sort() })
  return {
    ...rest,
    reverted: reverted.map(paths),
    skipped: [...skipped].sort((a, b) => (canonical(a) < canonical(b) ? -1 : 1)),
  }
}

function told(mine: ReturnType<typeof decideUndo>): Told {
  if (!mine.ok) return { code: mine.code }
  return mine.events.length === 0 ? { events: [] } : ({ events: mine.events, ...mine.result } as unknown as Told)
}

function content({ nodes, edges, viewport, attributes }: StateJson): unknown {
  return { nodes, edges, viewport, attributes }
}

/** What a client that saw every commit knows. */
class History {
  private readonly state: GraphState
  private readonly changes = new Map<string, Change[]>()
  private readonly last = new Map<string, GraphNode>()
  private readonly commits: readonly CommitVector[]

  constructor(commits: readonly CommitVector[]) {
    this.commits = commits
    this.state = commits.reduce((state, commit) => {
      this.changes.set(commit.operationId, remember(state, commit.events))
      const then = fold(state, commit.events, commit)
      state.nodes.rows.each((row) => void this.last.set(row.entity.id, row.entity))
      return then
    }, new GraphState())
  }

  undo(versions: number[], onConflict: UndoVector['onConflict']): ReturnType<typeof decideUndo> {
    const named = versions.map((version) => this.commits[version - 1] as CommitVector)
    const authors = new Set(named.map((commit) => commit.userId))
    const isWork = (event: GraphEvent, { kind, id }: Entity): boolean => {
      const about = entityOf(event)
      if (about?.kind !== kind || about.id !== id || isDeletion(event)) return false
      return pathsOf(event).some((path) => !path.startsWith('/position'))
    }
    return decideUndo(this.state, named, {
      tell,
      known: (operationId) => this.changes.get(operationId),
      others: (entity, since) =>
        this.commits.some(
          (commit) =>
            commit.version > since &&
            !authors.has(commit.userId) &&
            commit.events.some((event) => isWork(event, entity)),
        ),
      gone: (id) => this.last.get(id),
      onConflict,
      limits: LIMITS,
    })
  }
}
