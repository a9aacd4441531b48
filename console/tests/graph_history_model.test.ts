/** Histories that are long, or come in short pages: nothing is skipped, and nothing is asked for without an end. */
import { expect, describe as group, test } from 'vitest'
import { compare } from '../src/graph/compare.ts'
import { HistoryWindow, PAGE, PAGES_MAX, STEP_MAX } from '../src/graph/history_window.ts'
import { matchOf, parseNoted } from '../src/graph/noted_hash.ts'
import { Past, WINDOW } from '../src/graph/past.ts'
import { linesOf, RUN_MAX } from '../src/graph/runs.ts'
import { isReplaced, seenAfter } from '../src/graph/seen.ts'
import { absence, TOUCH_PAGES_MAX, touchesAfter } from '../src/graph/touches.ts'
import { wantedOf } from '../src/graph/use_view.ts'
import type { Commit, Difference, GraphRow, Touch } from '../src/graph/wire_types.ts'

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
    for (const version of [Number.NaN, -1, 0.5, 451, 460, 600, 700, 1_000, 1_450]) {
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

/** A list of `all`, newest first, with cursors that name the row behind which a page begins. */
function listing(all: readonly number[]) {
  const asked: (string | null)[] = []
  const ask = async (cursor: string | null, limit: number) => {
    asked.push(cursor)
    const from = cursor === null ? 0 : all.indexOf(Number(cursor)) + 1
    const rows = all.slice(from, from + limit)
    const last = rows[rows.length - 1]
    return { rows, nextCursor: last === undefined || last === all[all.length - 1] ? null : String(last) }
  }
  return { asked, ask }
}
const newestFirst = (count: number): number[] => Array.from({ length: count }, (_, i) => count - i)

group('k3 window', () => {
  test('k3_a_replaced_history_is_a_new_list_and_newer_commits_are_counted_from_it', () => {
    const seen = { version: 40, replacements: 0 }
    expect(seenAfter(seen, 40, 0)).toBe(seen)
    expect(seenAfter(seen, 50, 0)).toBe(seen)
    expect(seenAfter(seen, 40, 1)).toEqual({ version: 40, replacements: 1 })
    expect(seenAfter(seen, 60, 1)).toEqual({ version: 60, replacements: 1 })
    // Known to be shorter before or after it is told.
    expect(seenAfter(seen, 12, 0)).toEqual({ version: 12, replacements: 0 })
    expect(seenAfter({ version: 40, replacements: 1 }, 12, 1)).toEqual({ version: 12, replacements: 1 })
  })

  test('k9_a_history_that_was_replaced_while_nobody_followed_it_is_another_one', async () => {
    const before = { version: 40, hash: 'a' }
    const asked: unknown[] = []
    const answer = (reset: boolean) => async (since: unknown) => {
      asked.push(since)
      return reset
    }
    const isOther = (now: typeof before, reset = false): Promise<boolean> => isReplaced(before, now, answer(reset))
    expect(await isOther({ version: 40, hash: 'a' })).toBe(false)
    expect(await isOther({ version: 40, hash: 'b' })).toBe(true)
    expect(await isOther({ version: 12, hash: 'c' })).toBe(true)
    expect(await isOther({ version: 0, hash: '0' })).toBe(true)
    expect(asked).toEqual([])
    expect(await isOther({ version: 50, hash: 'd' })).toBe(false)
    expect(await isOther({ version: 50, hash: 'e' }, true)).toBe(true)
    expect(asked).toEqual([before, before])
    const refuse = () => Promise.reject(new Error('no'))
    expect(await isReplaced(before, { version: 50, hash: 'd' }, refuse)).toBe(true)
    // Nothing of it was seen yet.
    expect(await isReplaced({ version: 0, hash: '0' }, before, refuse)).toBe(false)
    expect(await isReplaced({ version: 0, hash: null }, before, refuse)).toBe(false)
  })

  test('k3_rows_that_are_wanted_together_are_held_together', async () => {
    const { ask, asked } = listing(newestFirst(20 * PAGE))
    const window = new HistoryWindow(ask, () => undefined)
    while (!(await window.wantAll(0, 7 * PAGE)));
    expect(asked.length).toBeLessThan(10)
    for (const index of [0, PAGE, 6 * PAGE, 7 * PAGE]) expect(window.row(index)).toBe(20 * PAGE - index)
    for (let i = 8 * PAGE; i < 20 * PAGE; i += 50) await window.wantAll(i, i + 50)
    expect(window.held).toBeLessThanOrEqual(PAGES_MAX * PAGE)
  })

  test('k3_new_commits_leave_no_gap_behind_the_newest_page', async () => {
    const all = newestFirst(20 * PAGE)
    const window = new HistoryWindow(listing(all).ask, () => undefined)
    for (let i = 0; i < 12 * PAGE; i += 50) await window.wantAll(i, i + 50)
    all.unshift(...Array.from({ length: 30 }, (_, i) => 20 * PAGE + 30 - i))
    for (let i = 12 * PAGE; i >= 0; i -= 50) await window.wantAll(i, i + 50)
    for (const index of [0, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE]) {
      await window.wantAll(index, index)
      expect(window.row(index)).toBe(20 * PAGE - index)
    }
  })

  test('k3_a_page_that_ends_elsewhere_drops_what_followed', async () => {
    const all = newestFirst(12 * PAGE)
    const window = new HistoryWindow(listing(all).ask, () => undefined)
    for (let i = 0; i < 12 * PAGE; i += 50) await window.wantAll(i, i + 50)
    // A purged row: the second page now reaches one row further.
    all.splice(PAGE + 10, 1)
    await window.wantAll(PAGE, PAGE + 20)
    await window.wantAll(2 * PAGE - 2, 2 * PAGE + 2)
    const rows = [-2, -1, 0, 1, 2].map((at) => window.row(2 * PAGE + at))
    expect(rows).toEqual(all.slice(2 * PAGE - 2, 2 * PAGE + 3))
  })

  test('k3_a_filter_that_fits_nothing_stops_after_some_pages', async () => {
    let asked = 0
    const nothing = async () => ({ rows: [], nextCursor: String(++asked) })
    const window = new HistoryWindow<number>(nothing, () => undefined)
    expect(await window.wantAll(0, 0)).toBe(false)
    expect([asked, window.pages]).toEqual([STEP_MAX, STEP_MAX])
    expect(await window.wantAll(0, 0)).toBe(false)
    expect(asked).toBe(2 * STEP_MAX)
    expect(await window.wantAll(0, 0, { isOver: () => asked > 22 })).toBe(true)
    expect(asked).toBe(23)
  })

  test('k3_an_ended_step_asks_for_nothing_and_spoils_nothing', async () => {
    const { ask } = listing(newestFirst(PAGE))
    const abort = new AbortController()
    const window = new HistoryWindow<number>(
      async (cursor, limit, signal) => {
        await Promise.resolve()
        signal?.throwIfAborted()
        return ask(cursor, limit)
      },
      () => undefined,
    )
    const ended = window.want(0, 10, abort.signal)
    const other = window.want(0, 10)
    abort.abort()
    await expect(ended).rejects.toThrow()
    expect(await other).toBe(true)
    expect(window.row(0)).toBe(PAGE)
  })

  test('k3_a_run_has_a_limit', () => {
    const op = { userId: 'ada', clientId: 'tab', commandType: 'SAVE_DOCUMENT' as const, status: 'completed' as const }
    const lines = linesOf(1_000, (i) => ({ ...op, timestamp: -i }), new Set())
    expect(lines).toHaveLength(1_000 / RUN_MAX)
    expect(lines[1]).toMatchObject({ kind: 'run', run: { from: RUN_MAX, to: 2 * RUN_MAX - 1 } })
  })
})

test('k1_a_label_that_has_the_name_of_what_every_object_has_is_unknown', () => {
  const row = { labels: { published: { version: 7, at: 1, by: 'ada' } } } as unknown as GraphRow
  for (const at of ['constructor', 'toString', '__proto__', 'draft']) expect(wantedOf(at, row)).toBe('unknown')
  expect(wantedOf('published', row)).toEqual({ kind: 'version', version: 7 })
})

test('v4_a_hash_without_its_version_accuses_nobody', () => {
  const hash = 'ab'.repeat(32)
  expect(parseNoted(` v1,482:${hash.toUpperCase()} `)).toEqual({ version: 1_482, hash })
  expect(parseNoted(hash.slice(1))).toBeNull()
  const bare = parseNoted(hash)!
  expect(bare).toEqual({ version: null, hash })
  expect(matchOf(bare, 9, { currentVersion: 9, reset: true })).toEqual({ kind: 'elsewhere', version: 9 })
  expect(matchOf(bare, 9, { currentVersion: 10 })).toEqual({ kind: 'same', version: 9 })
  const whole = { version: 7, hash }
  expect(matchOf(whole, 7, { currentVersion: 9, reset: true }).kind).toBe('other')
  expect(matchOf(whole, 7, { currentVersion: 6, reset: true }).kind).toBe('ahead')
  expect(matchOf(whole, 7, { currentVersion: 9 }).kind).toBe('same')
})

/** A touch of an entity: made, written or deleted. */
function touch(version: number, did: 'made' | 'wrote' | 'deleted' = 'wrote', userId = 'ada'): Touch {
  const whole = { made: [null, {}], wrote: [1, 2], deleted: [{}, null] }[did]
  const change = { path: did === 'wrote' ? '/data/x' : '', before: whole[0], after: whole[1] }
  return { version, userId, timestamp: version, changes: [change] } as unknown as Touch
}

group('a4 touches', () => {
  const pages = (all: readonly Touch[], size: number) => {
    const asked: (string | null)[] = []
    const ask = async (cursor: string | null) => {
      asked.push(cursor)
      const end = Number(cursor ?? 0) + size
      return { history: all.slice(end - size, end), nextCursor: end < all.length ? String(end) : null }
    }
    return { asked, ask }
  }
  const long = Array.from({ length: 100 }, (_, i) => touch(100 - i))

  test('a4_pages_are_asked_for_until_the_version_is_reached', async () => {
    const { asked, ask } = pages(long, 10)
    const { touches, isWhole } = await touchesAfter(ask, 75)
    expect([touches.length, touches[touches.length - 1]!.version, isWhole]).toEqual([25, 76, true])
    expect(asked).toHaveLength(3)
  })

  test('a4_a_history_that_is_too_long_is_not_told_as_whole', async () => {
    const { asked, ask } = pages(long, 10)
    expect(await touchesAfter(ask, 0)).toMatchObject({ isWhole: false })
    expect(asked).toHaveLength(TOUCH_PAGES_MAX)
    expect(await touchesAfter(ask, 0, ({ version }) => version === 95)).toMatchObject({ isWhole: true })
  })

  test('a4_the_deletion_of_what_is_missing_is_the_newest_before_what_is_shown', () => {
    const touches = [touch(9, 'deleted', 'cy'), touch(7, 'made'), touch(5, 'deleted', 'bob'), touch(2, 'made', 'eve')]
    const at = (version: number, isWhole = true) => absence({ touches, isWhole }, version)
    expect(at(6).gone).toMatchObject({ version: 5, userId: 'bob' })
    expect(at(12).gone).toMatchObject({ version: 9, userId: 'cy' })
    expect(at(1)).toMatchObject({ gone: null, made: { version: 2, userId: 'eve' } })
    expect(at(1, false)).toEqual({ gone: null, made: null })
  })
})

test('k6_an_id_of_both_a_node_and_an_edge_has_no_known_writer', () => {
  const side = (id: string) => ({
    added: [],
    removed: [],
    changed: [{ id, changes: [{ path: '/data/x', before: 1, after: 2 }] }],
  })
  const difference = { from: 1, to: 2, nodes: side('x'), edges: side('x'), viewport: null } as unknown as Difference
  const authors = { x: { version: 2, userId: 'ada', timestamp: 1 } }
  const by = (isShared: (id: string) => boolean) =>
    compare(difference, authors, undefined, undefined, isShared).rows.map(({ by }) => by?.userId)
  expect(by((id) => id === 'x')).toEqual([undefined, undefined])
  expect(by(() => false)).toEqual(['ada', 'ada'])
})
