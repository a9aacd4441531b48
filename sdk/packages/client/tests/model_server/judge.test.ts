import { expect, test } from 'vitest'
import type { JsonObject } from '../../src/api.ts'
import { judge, type Verdict } from '../../src/testing/judge.ts'
import { canonical } from '../model/canonical.ts'
import { type ConflictVector, type Group, LIMITS, read, stateAfter } from '../model/vectors.ts'

test('D1 to D5 the model server judges stale commands as the server does', () => {
  const wrong: string[] = []
  let count = 0
  for (const [line, { commits, cases }] of read<Group<ConflictVector>>('conflict').entries()) {
    const graph = {
      state: stateAfter(commits),
      commits: commits.map((commit) => ({ ...commit, hash: '', commandType: '', outcome: 'applied' as const })),
      limits: LIMITS,
    }
    for (const [index, { asked, verdict }] of cases.entries()) {
      count += 1
      const mine = judge(graph, { ...asked, userId: asked.user, clientId: asked.user })
      const [told, servers] = [canonical(plain(mine)), canonical(inOrder(verdict))]
      if (told !== servers) wrong.push(`${line}, ${index} ${canonical(asked)}\n  model  ${told}\n  server ${servers}`)
    }
  }
  expect(count).toBeGreaterThan(800)
  expect(wrong.slice(0, 3).join('\n'), `${wrong.length} of ${count} cases differ`).toBe('')
})

function plain(verdict: Verdict): unknown {
  if (!('code' in verdict)) return verdict
  const conflicts = verdict.conflicts?.map(({ entity, id, path, version, userId }) => ({
    entity,
    id,
    path,
    version,
    userId,
  }))
  return inOrder({ code: verdict.code, index: verdict.index ?? null, conflicts: conflicts ?? null })
}

/** Conflicts in the order of their texts: JavaScript puts integer-like keys first. */
function inOrder<T extends { conflicts?: JsonObject[] | null }>(verdict: T): T {
  const { conflicts } = verdict
  if (!conflicts) return verdict
  return { ...verdict, conflicts: [...conflicts].sort((a, b) => (canonical(a) < canonical(b) ? -1 : 1)) }
}
