/** Histories that are long, or come in short pages: nothing is skipped, and nothing is asked for without an end. */
import { expect, describe as group, test } from 'vitest'
import { Past, WINDOW } from '../src/graph/past.ts'
import type { Commit } from '../src/graph/wire_types.ts'

/** A server whose pages have at most `pageMax` commits, as one that stops at a number of bytes. */
function shortPages(count: number, pageMax: number) {
  const commits = Array.from({ length: count }, (_, i) => ({
    ...{ graphId: 'g', version: i + 1, hash: '', operationId: null, userId: 'ada', clientId: 'c', timestamp: i },
    ...{ commandType: 'UPDATE_NODE_POSITION', outcome: 'applied' },
    events: [{ type: 'NodeCreated', node: { id: `n${i + 1}`, position: { x: 0, y: 0 } } }],
  })) as unknown as Commit[]
  const limits: number[] = []
  return {
    limits,
    async state(version: number) {
      const nodes = commits.slice(0, version).map(({ version }) => ({ id: `n${version}`, position: { x: 0, y: 0 } }))
      const stamps = { createdAt: 1, updatedAt: 1, version: 1 }
      // As a server would that does not know the version: its head.
      const known = Math.min(version, count)
      return { version: known, nodes: nodes.map((node) => ({ ...node, ...stamps })), edges: [], viewport: VIEWPORT }
    },
    async commits(since: number, limit: number) {
      limits.push(limit)
      const end = since + Math.min(limit, pageMax)
      return { changes: commits.slice(since, end), hasMore: end < count }
    },
  }
}
const VIEWPORT = { x: 0, y: 0, zoom: 1 }

group('k4 past of short pages', () => {
  test('k4_a_window_that_comes_in_short_pages_skips_nothing', async () => {
    const server = shortPages(950, 70)
    const past = new Past(server)
    for (const version of [950, 410, 200, 201, 199, 650]) {
      expect((await past.at(version)).snapshot.nodes).toHaveLength(version)
    }
    expect(Math.max(...server.limits)).toBe(WINDOW)
  })

  test('k4_a_version_above_the_head_is_an_error_and_spoils_nothing', async () => {
    const past = new Past(shortPages(450, 70))
    for (const version of [451, 460, 600, 700, 1_000, 1_450]) {
      await expect(past.at(version)).rejects.toThrow('is not in this history')
    }
    expect((await past.at(450)).snapshot.nodes).toHaveLength(450)
  })

  test('k4_what_was_above_the_head_is_right_once_it_is_there', async () => {
    const server = shortPages(1_000, 70)
    let head = 450
    const growing = {
      ...server,
      async commits(since: number, limit: number) {
        const { changes } = await server.commits(since, limit)
        const known = changes.filter(({ version }) => version <= head)
        return { changes: known, hasMore: since + known.length < head }
      },
    }
    const past = new Past(growing)
    await expect(past.at(600)).rejects.toThrow()
    head = 1_000
    expect((await past.at(600)).snapshot.nodes).toHaveLength(600)
  })

  test('k4_a_gap_between_commits_is_an_error', async () => {
    const server = shortPages(300, 300)
    const past = new Past({
      ...server,
      commits: async (since: number, limit: number) => {
        const page = await server.commits(since, limit)
        return { ...page, changes: page.changes.filter(({ version }) => version !== 42) }
      },
    })
    await expect(past.at(100)).rejects.toThrow('Expected commit 42')
  })
})
