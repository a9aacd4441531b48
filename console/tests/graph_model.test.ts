/** The pure modules of the graph page: slider, playback, past, comparison, refusals, history. */
import { expect, describe as group, test } from 'vitest'
import { compare, neighbour, shown } from '../src/graph/compare.ts'
import { contentOf, describe } from '../src/graph/describe.ts'
import { fieldsOf, valueAt, writersOf } from '../src/graph/fields.ts'
import {
  barsOf,
  fractionOf,
  labelMarks,
  nextAuthor,
  nextLabel,
  scaleOf,
  snapToTime,
  type Tick,
  valueAt as valueOn,
  valueText,
} from '../src/graph/histogram.ts'
import { HistoryWindow, PAGE, PAGES_MAX } from '../src/graph/history_window.ts'
import { Past, WINDOW } from '../src/graph/past.ts'
import { IDLE_MS, nextStep } from '../src/graph/playback.ts'
import { linesOf } from '../src/graph/runs.ts'
import { plain, refusalSentence } from '../src/graph/sentence.ts'
import { textDiff } from '../src/graph/text_diff.ts'
import type { Commit, Difference, Touch, WireConflict } from '../src/graph/wire_types.ts'
import { chosenView, graphLink } from '../src/shared/links.ts'

const HOUR = 3_600_000
const ticks: Tick[] = [
  { version: 1, timestamp: 100, userId: 'ada' },
  { version: 2, timestamp: 200, userId: 'ada' },
  { version: 3, timestamp: 200, userId: 'bob' },
  { version: 4, timestamp: 900, userId: 'bob' },
]

group('k4 slider', () => {
  test('k4_a_history_of_many_hours_goes_by_time', () => {
    const buckets = Array.from({ length: 10 }, (_, i) => ({ at: i * HOUR, events: i }))
    const scale = scaleOf(buckets, HOUR, 500)
    expect(scale).toEqual({ kind: 'time', from: 0, to: 10 * HOUR })
    expect(fractionOf(scale, 5 * HOUR)).toBe(0.5)
    expect(valueOn(scale, 0.5)).toBe(5 * HOUR)
    const bars = barsOf(buckets, HOUR, scale)
    expect(bars).toHaveLength(9)
    expect(bars[8]!.height).toBe(1)
    expect(bars[0]!.left).toBeCloseTo(0.1)
  })

  test('k4_a_history_of_one_hour_goes_by_version', () => {
    const scale = scaleOf([{ at: 0, events: 41 }], HOUR, 31)
    expect(scale).toEqual({ kind: 'version', from: 0, to: 31 })
    expect(valueOn(scale, 2)).toBe(31)
  })

  test('k4_it_snaps_to_the_last_commit_at_or_before', () => {
    expect(snapToTime(ticks, 99)).toBeNull()
    expect(snapToTime(ticks, 200)?.version).toBe(3)
    expect(snapToTime(ticks, 899)?.version).toBe(3)
    expect(snapToTime(ticks, 5_000)?.version).toBe(4)
  })

  test('k4_brackets_go_from_label_to_label_and_shift_by_author', () => {
    const marks = labelMarks({ published: { version: 30, at: 3 }, draft: { version: 10, at: 1 } })
    expect(marks.map(({ name }) => name)).toEqual(['draft', 'published'])
    expect(nextLabel(marks, 10, 1)?.name).toBe('published')
    expect(nextLabel(marks, 30, -1)?.name).toBe('draft')
    expect(nextLabel(marks, 30, 1)).toBeNull()
    expect(nextAuthor(ticks, 1, 1)?.version).toBe(3)
    expect(nextAuthor(ticks, 4, -1)?.version).toBe(2)
    expect(nextAuthor(ticks, 4, 1)).toBeNull()
  })

  test('k8_it_says_where_it_is', () => {
    expect(valueText(1470, 1482, 'Monday 12:03', 'ada')).toBe('version 1,470 of 1,482, Monday 12:03, by ada')
  })

  test('k4_playback_skips_idle_gaps_and_never_runs_ahead_of_a_frame', () => {
    expect(nextStep([1_000], 1)).toEqual({ commits: 1, waitMs: 1_000 })
    expect(nextStep([86_400_000], 1)).toEqual({ commits: 1, waitMs: IDLE_MS })
    const burst = nextStep(new Array(200).fill(1), 64)
    expect(burst.commits).toBeLessThanOrEqual(64)
    expect(burst.waitMs).toBeGreaterThanOrEqual(16)
  })
})

/** A history of `count` commits: node n1 is made, then moved. */
function history(count: number): Commit[] {
  return Array.from({ length: count }, (_, i) => ({
    graphId: 'g',
    version: i + 1,
    hash: '',
    operationId: null,
    userId: i % 7 === 0 ? 'ada' : 'bob',
    clientId: 'c',
    timestamp: 1_000 + i,
    commandType: 'UPDATE_NODE_POSITION',
    outcome: 'applied',
    events: [
      i === 0
        ? { type: 'NodeCreated', node: { id: 'n1', position: { x: 0, y: 0 } } }
        : { type: 'NodeMoved', nodeId: 'n1', position: { x: i + 1, y: 0 } },
    ],
  }))
}

function source(commits: Commit[]) {
  const asked: string[] = []
  return {
    asked,
    async state(version: number) {
      asked.push(`state ${version}`)
      return {
        version,
        nodes: [{ id: 'n1', position: { x: version, y: 0 }, createdAt: 1_000, updatedAt: 1_000, version }],
        edges: [],
        viewport: { x: 0, y: 0, zoom: 1 },
      }
    },
    async commits(since: number, limit: number) {
      asked.push(`commits ${since}+${limit}`)
      return { changes: commits.slice(since, since + limit), hasMore: since + limit < commits.length }
    },
  }
}

group('k4 past', () => {
  test('k4_a_version_is_the_nearest_thousand_and_what_follows', async () => {
    const server = source(history(5_000))
    const past = new Past(server)
    const moment = await past.at(2_345)
    expect(moment.snapshot.nodes[0]!.position.x).toBe(2_345)
    expect(moment.commit?.version).toBe(2_345)
    expect(server.asked).toEqual(['state 2000', 'commits 2000+200', 'commits 2200+200'])
  })

  test('k4_steps_within_a_window_ask_for_nothing', async () => {
    const server = source(history(5_000))
    const past = new Past(server)
    await past.at(2_345)
    const before = server.asked.length
    for (const version of [2_346, 2_344, 2_201, 2_399, 2_001]) {
      expect((await past.at(version)).snapshot.nodes[0]!.position.x).toBe(version)
    }
    expect(server.asked.length).toBe(before)
  })

  test('k4_every_version_is_right_in_any_order', async () => {
    const past = new Past(source(history(1_203)))
    for (const version of [1_203, 1, 0, 200, 201, 199, 1_000, 1_001, 999, 600, 400]) {
      const { snapshot } = await past.at(version)
      expect(snapshot.nodes[0]?.position.x ?? 0).toBe(version === 1 ? 0 : version)
    }
  })

  test('k3_no_request_is_above_a_window_and_an_unknown_version_is_told', async () => {
    const server = source(history(450))
    const past = new Past(server)
    await past.at(449)
    expect(server.asked.every((line) => !line.startsWith('commits') || line.endsWith(`+${WINDOW}`))).toBe(true)
    await expect(past.at(460)).rejects.toThrow('Version 460')
  })

  test('k4_unchanged_entities_stay_the_same_objects', async () => {
    const commits = history(3)
    commits[1] = { ...commits[1]!, events: [{ type: 'NodeCreated', node: { id: 'n2', position: { x: 1, y: 1 } } }] }
    const past = new Past(source(commits))
    const two = await past.at(2)
    const three = await past.at(3)
    expect(three.snapshot.nodes[1]).toBe(two.snapshot.nodes[1])
    expect(three.snapshot.nodes[0]).not.toBe(two.snapshot.nodes[0])
  })
})

const position = { x: 0, y: 0 }
function difference(moved: number): Difference {
  return {
    graphId: 'g',
    from: 1,
    to: 9,
    viewport: null,
    nodes: {
      added: [{ id: 'b', position, createdAt: 0, updatedAt: 0, version: 3 }],
      removed: [{ id: 'gone', position, createdAt: 0, updatedAt: 0, version: 1 }],
      changed: [
        { id: 'a', changes: [{ path: '/data/label', before: 'Begin', after: 'Go' }] },
        ...Array.from({ length: moved }, (_, i) => ({
          id: `m${i}`,
          changes: [{ path: '/position', before: position, after: { x: 1, y: 1 } }],
        })),
      ],
    },
    edges: { added: [], removed: [], changed: [] },
  }
}

group('k6 compare', () => {
  test('k6_moves_are_hidden_when_they_would_drown_the_rest', () => {
    const many = compare(difference(12))
    expect(many.counts).toEqual({ added: 1, removed: 1, changed: 1, moved: 12 })
    expect(many.hidesMoves).toBe(true)
    expect(shown(many, true)).toHaveLength(3)
    expect(compare(difference(1)).hidesMoves).toBe(false)
  })

  test('k6_n_and_p_go_round_and_people_are_counted', () => {
    const authors = { a: { version: 4, userId: 'bob', timestamp: 1 }, b: { version: 3, userId: 'bob', timestamp: 1 } }
    const result = compare(difference(0), authors, () => 'Go')
    expect(result.rows.map(({ id }) => id)).toEqual(['a', 'b', 'gone'])
    expect(result.rows[0]).toMatchObject({ label: 'Go', by: { userId: 'bob', version: 4 } })
    expect(result.people).toEqual([{ userId: 'bob', rows: 2 }])
    expect(neighbour(result.rows, 'node gone', 1)?.id).toBe('a')
    expect(neighbour(result.rows, null, -1)?.id).toBe('gone')
  })

  test('k6_texts_differ_by_words', () => {
    const pieces = textDiff('a b c', 'a x c')
    expect(
      pieces
        .filter(({ kind }) => kind !== 'added')
        .map(({ text }) => text)
        .join(''),
    ).toBe('a b c')
    expect(
      pieces
        .filter(({ kind }) => kind !== 'removed')
        .map(({ text }) => text)
        .join(''),
    ).toBe('a x c')
  })
})

group('k7 refusals', () => {
  const conflict = {
    entity: 'node' as const,
    id: 'a',
    path: '/data/label',
    yours: 'Go',
    current: 'Begin',
    version: 4,
    userId: 'bob',
    operationId: 'op',
  }
  const error = (conflicts: WireConflict[], code = 'CONFLICT') => ({
    type: '',
    title: '',
    status: 409,
    detail: 'details',
    code,
    resolution: { currentVersion: 4, conflicts },
  })
  const refused = { userId: 'ada', commandType: 'UPDATE_NODE' as const, timestamp: 14_000, version: 4 }

  test('k7_a_refusal_is_a_sentence', () => {
    const { parts, commit, about, policies } = refusalSentence({ ...refused, error: error([conflict]) }, () => 2_000)
    expect(plain(parts)).toBe(
      'Refused: ada wanted /data/label = "Go" on node a; bob had set it to "Begin" in v4, 12 s earlier.',
    )
    expect(commit).toBe(4)
    expect(about).toEqual({ kind: 'node', id: 'a' })
    expect(policies.map(({ name }) => name)).toEqual(['merge', 'overwrite', 'reject'])
  })

  test('k7_what_a_refusal_is_about_has_its_kind', () => {
    const edge = { ...conflict, entity: 'edge' as const, id: 'node edge' }
    const { about, parts, more } = refusalSentence({ ...refused, error: error([edge, edge]) })
    expect(about).toEqual({ kind: 'edge', id: 'node edge' })
    for (const list of [parts, more[0]!])
      expect(list).toContainEqual({ kind: 'entity', text: 'edge node edge', entity: 'edge', id: 'node edge' })
    const graph = { ...conflict, entity: 'graph' as const }
    expect(refusalSentence({ ...refused, error: error([graph]) }).about).toBeNull()
    expect(graphLink('g', 4, chosenView(about))).toBe('/graphs/g@4?edge=node+edge')
    expect(graphLink('g', 4, chosenView({ kind: 'node', id: 'a' }))).toBe('/graphs/g@4?node=a')
  })

  test('k7_a_deleted_target_and_a_refusal_without_conflicts_are_sentences_too', () => {
    const deleted = { ...conflict, path: '', current: null as unknown as string }
    expect(plain(refusalSentence({ ...refused, error: error([deleted], 'TARGET_DELETED') }).parts)).toBe(
      'Refused: ada wanted to write node a (UPDATE_NODE); bob had deleted it in v4.',
    )
    expect(plain(refusalSentence({ ...refused, error: error([], 'PARENT_CYCLE') }).parts)).toBe(
      'Refused: ada wanted to run UPDATE_NODE. details',
    )
  })
})

group('k3 history', () => {
  test('k3_a_long_history_is_held_by_pages_in_both_directions', async () => {
    const asked: (string | null)[] = []
    const all = Array.from({ length: 5_050 }, (_, i) => i)
    const window = new HistoryWindow<number, string>(async (cursor, limit) => {
      asked.push(cursor)
      const from = cursor === null ? 0 : Number(cursor)
      const next = from + limit < all.length ? String(from + limit) : null
      return { rows: all.slice(from, from + limit), nextCursor: next }
    }, String)
    for (let i = 0; i < 5_050; i += 50) while (await window.want(i, i + 50));
    expect(window.count).toBe(5_050)
    expect(window.hasMore).toBe(false)
    expect(window.held).toBeLessThanOrEqual(PAGE * PAGES_MAX)
    expect(window.row(5_049)).toBe(5_049)
    expect(window.row(PAGE)).toBeUndefined()
    expect(window.brief(PAGE)).toBe(String(PAGE))
    while (await window.want(PAGE, PAGE + 40));
    expect(window.row(PAGE)).toBe(PAGE)
    expect(asked[asked.length - 1]).toBe(String(PAGE))
    expect(window.held).toBeLessThanOrEqual(PAGE * PAGES_MAX)
  })

  test('k3_runs_of_autosaves_are_one_line', () => {
    const op = (i: number, commandType = 'SAVE_DOCUMENT') => ({
      userId: 'ada',
      clientId: 'tab',
      commandType: commandType as 'SAVE_DOCUMENT',
      status: 'completed' as const,
      timestamp: 1_000_000 - i * 1_000,
    })
    const rows = [op(0, 'UPDATE_EDGE'), ...Array.from({ length: 14 }, (_, i) => op(i + 1))]
    const lines = linesOf(rows.length, (i) => rows[i], new Set())
    expect(lines).toEqual([
      { kind: 'row', index: 0 },
      { kind: 'run', run: { from: 1, to: 14, userId: 'ada', what: 'autosaves' } },
    ])
    expect(linesOf(rows.length, (i) => rows[i], new Set([1]))).toHaveLength(16)
  })
})

group('k1 inspect', () => {
  test('a4_each_field_has_the_writer_of_its_last_change', () => {
    const node = { id: 'a', position: { x: 1, y: 2 }, data: { label: 'Go', deep: { b: 1 } }, version: 9 }
    const fields = fieldsOf(node)
    expect(fields.map(({ path }) => path)).toEqual(['/id', '/data/deep/b', '/data/label', '/position'])
    const touch = (version: number, path: string, before: unknown): Touch => ({
      version,
      operationId: 'o',
      userId: `u${version}`,
      clientId: 'c',
      timestamp: version,
      commandType: 'UPDATE_NODE',
      changes: [{ path, before, after: null }],
    })
    const touches = [touch(9, '/data/label', 'Begin'), touch(5, '/data/deep', { b: 0 }), touch(1, '', null)]
    const writers = writersOf(fields, touches, 9)
    expect(writers.get('/data/label')).toMatchObject({ userId: 'u9', before: 'Begin' })
    expect(writers.get('/data/deep/b')).toMatchObject({ userId: 'u5', before: 0 })
    expect(writers.get('/position')).toMatchObject({ userId: 'u1' })
    expect(writersOf(fields, touches, 8).get('/data/label')).toMatchObject({ userId: 'u1' })
    expect(valueAt({ 'a/b': [1, { c: 2 }] }, '/a~1b/1/c')).toBe(2)
  })

  test('a1_a_commit_is_a_few_words', () => {
    const moved = (id: string) => ({ type: 'NodeMoved' as const, nodeId: id, position })
    const of = (events: Commit['events']) => describe({ events, commandType: 'BATCH' }, (id) => id.toUpperCase())
    expect(of([moved('a'), moved('b'), moved('c')])).toBe('moved 3 nodes')
    expect(of([moved('a')])).toBe('moved A')
    expect(of([{ type: 'NodeUpdated', nodeId: 'a', patch: { data: { label: 'x' } } }])).toBe('changed A: label')
    expect(of([{ type: 'VersionLabelled', name: 'published', version: 1470, note: 'Release 12' }])).toBe(
      'labelled v1,470 published: Release 12',
    )
    expect(contentOf([{ type: 'GraphUpdated', patch: {} }])).toBe('attributes')
  })
})
