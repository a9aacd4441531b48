/** What the console makes of answers, and of answers that do not come. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type Done, each } from '../src/graphs/writes.ts'
import { findOperation } from '../src/operations/find_operation.ts'
import { effectWords } from '../src/operations/operation_page.tsx'
import { ApiError, get, isPassing, rawLines, send } from '../src/shared/api.ts'
import { trashGraph } from '../src/shared/graph_writes.ts'
import type { GraphRow } from '../src/shared/types.ts'
import { load } from '../src/subscriptions/subscriptions_page.tsx'

type Answer = () => Response
let answers: [method: string, path: RegExp, answer: Answer][]
let asked: string[]
let keys: (string | null)[]

beforeEach(() => {
  asked = []
  keys = []
  vi.stubGlobal('fetch', async (url: URL, { method, headers }: RequestInit) => {
    asked.push(`${method} ${url.pathname}${url.search}`)
    keys.push(new Headers(headers).get('Idempotency-Key'))
    const found = answers.find(([of, path]) => of === method && path.test(url.pathname + url.search))
    if (found === undefined) throw new Error(`not expected: ${method} ${url.href}`)
    return found[2]()
  })
})
afterEach(() => vi.unstubAllGlobals())

const json =
  (body: unknown): Answer =>
  () =>
    Response.json(body)
const problem =
  (status: number, code: string): Answer =>
  () =>
    Response.json({ type: '', title: code, status, code, detail: code }, { status, headers: { 'X-Request-Id': 'r-1' } })
const offline: Answer = () => {
  throw new TypeError('fetch failed')
}

describe('requests', () => {
  test.each([202, 204])('h_a_write_may_be_answered_without_a_body %d', async (status) => {
    answers = [['POST', /purge$/, () => new Response(null, { status })]]
    expect(await send('POST', 'graphs/g/purge', {})).toBeNull()
  })

  test('h_an_answer_that_breaks_off_is_a_failed_connection', async () => {
    const broken = new ReadableStream({ start: (to) => to.error(new TypeError('terminated')) })
    answers = [
      ['GET', /broken$/, () => new Response(broken)],
      ['GET', /page$/, () => new Response('<html>')],
    ]
    await expect(get('broken')).rejects.toMatchObject({ status: 0, code: 'UNREACHABLE' })
    await expect(get('page')).rejects.toMatchObject({ status: 0, code: 'NOT_JSON' })
  })

  test('h_lines_that_break_off_are_a_failed_connection', async () => {
    const bytes = new TextEncoder().encode('{"a":1}\n{"a":')
    let sent = false
    const pull = (to: ReadableStreamDefaultController<Uint8Array>): void => {
      if (sent) to.error(new TypeError('terminated'))
      else to.enqueue(bytes)
      sent = true
    }
    answers = [['GET', /events$/, () => new Response(new ReadableStream({ pull }))]]
    const read: string[] = []
    const all = async (): Promise<void> => {
      for await (const line of rawLines('events')) read.push(line)
    }
    await expect(all()).rejects.toMatchObject({ status: 0, code: 'UNREACHABLE' })
    expect(read).toEqual(['{"a":1}'])
  })

  test('c3_only_a_passing_failure_leaves_the_outcome_open', () => {
    const of = (status: number): boolean => isPassing(new ApiError(status, '', '', null, null, null))
    expect([0, 429, 500, 503].every(of)).toBe(true)
    expect([400, 403, 404, 409].some(of)).toBe(false)
  })
})

describe('k2 many graphs into the trash', () => {
  const rows = ['a', 'b', 'c'].map((graphId) => ({ graphId }) as GraphRow)
  const trash = (before?: readonly Done[]) => each(rows, ({ graphId }, id) => trashGraph(graphId, '', id), before)
  const accepted = json({ status: 'accepted' })

  test('k2_one_command_for_each_and_a_refusal_does_not_stop_the_rest', async () => {
    answers = [
      ['DELETE', /\/b$/, problem(403, 'FORBIDDEN')],
      ['DELETE', /./, accepted],
    ]
    const done = await trash()
    expect(asked).toEqual(['DELETE /graphs/a', 'DELETE /graphs/b', 'DELETE /graphs/c'])
    expect(keys).toEqual(done.map(({ operationId }) => operationId))
    expect(new Set(keys).size).toBe(3)
    expect(done.map(({ graphId, error }) => [graphId, error?.code])).toEqual([
      ['a', undefined],
      ['b', 'FORBIDDEN'],
      ['c', undefined],
    ])
  })

  test('c3_only_what_failed_is_done_again_under_the_same_id_where_the_outcome_is_open', async () => {
    answers = [
      ['DELETE', /\/b$/, problem(403, 'FORBIDDEN')],
      ['DELETE', /\/c$/, offline],
      ['DELETE', /./, () => new Response(null, { status: 202 })],
    ]
    const before = await trash()
    expect(before.map(({ error }) => error?.code)).toEqual([undefined, 'FORBIDDEN', 'UNREACHABLE'])
    asked.length = 0
    answers = [['DELETE', /./, accepted]]
    const after = await trash(before)
    expect(asked).toEqual(['DELETE /graphs/b', 'DELETE /graphs/c'])
    expect(after[0]!.operationId).not.toBe(before[1]!.operationId)
    expect(after[1]!.operationId).toBe(before[2]!.operationId)
  })
})

describe('subscriptions', () => {
  const named = (name: string) => json({ name })
  const list = json({ subscriptions: ['a', 'b', 'c'] })
  const read = () => load(new AbortController().signal)

  test('k3_a_subscription_that_is_deleted_meanwhile_does_not_hide_the_others', async () => {
    answers = [
      ['GET', /\/subscriptions$/, list],
      ['GET', /\/b$/, problem(404, 'NOT_FOUND')],
      ['GET', /\/a$/, named('a')],
      ['GET', /\/c$/, named('c')],
    ]
    expect(await read()).toEqual({ names: ['a', 'c'], overviews: [{ name: 'a' }, { name: 'c' }] })
  })

  test('k3_one_that_cannot_be_read_is_told', async () => {
    answers = [
      ['GET', /\/subscriptions$/, list],
      ['GET', /./, problem(503, 'STORE_UNAVAILABLE')],
    ]
    await expect(read()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  })
})

describe('k7 one operation', () => {
  const ID = '0192f0c1-0000-4000-8000-000000000001'
  const operation = {
    ...{ operationId: ID, graphId: 'g', status: 'completed', outcome: 'applied', type: 'UPDATE_NODE' },
    ...{ userId: 'ada', version: 3, createdAt: 1_000, completedAt: 1_001 },
  }
  const commit = { version: 3, operationId: ID, timestamp: 1_001, events: [], commandType: 'UPDATE_NODE' }
  const KNOWN = /\/operations\/0192/
  const SEARCH = /\/graphs\/g\/operations\?/
  const CHANGES = /\/graphs\/g\/changes\?/
  const find = (version: number | null = null) => findOperation(ID, 'g', version, new AbortController().signal)
  const none = json({ operations: [], nextCursor: null })

  test('k7_a_commit_that_can_be_read_is_described', async () => {
    answers = [
      ['GET', KNOWN, json(operation)],
      ['GET', SEARCH, none],
      ['GET', CHANGES, json({ changes: [commit] })],
    ]
    const found = await find()
    expect(found).toMatchObject({ commit, unread: null, missing: null })
    expect(effectWords(found.operation, found.commit)).toBe('UPDATE_NODE')
  })

  test.each([
    ['busy', problem(429, 'RATE_LIMITED'), 'RATE_LIMITED'],
    ['unavailable', problem(503, 'STORE_UNAVAILABLE'), 'STORE_UNAVAILABLE'],
    ['offline', offline, 'UNREACHABLE'],
    ['forbidden', problem(403, 'FORBIDDEN'), 'FORBIDDEN'],
    ['erased', json({ changes: [{ ...commit, operationId: null, erased: true }] }), 'COMMIT_NOT_FOUND'],
    ['gone', json({ changes: [] }), 'COMMIT_NOT_FOUND'],
  ])('k7_a_commit_that_cannot_be_read_is_not_called_unchanged %s', async (_, changes, code) => {
    answers = [
      ['GET', KNOWN, json(operation)],
      ['GET', SEARCH, none],
      ['GET', CHANGES, changes],
    ]
    const found = await find()
    expect(found).toMatchObject({ commit: null, unread: { code } })
    expect(effectWords(found.operation, found.commit)).toBe('ran UPDATE_NODE')
  })

  test('k7_only_the_servers_word_says_that_nothing_changed', async () => {
    answers = [
      ['GET', KNOWN, json({ ...operation, outcome: 'unchanged' })],
      ['GET', SEARCH, none],
    ]
    const found = await find()
    expect(found).toMatchObject({ commit: null, unread: null })
    expect(effectWords(found.operation, found.commit)).toContain('changed nothing')
    expect(asked.some((one) => CHANGES.test(one))).toBe(false)
  })

  test('k7_facts_that_are_left_out_are_told_if_they_may_come', async () => {
    answers = [
      ['GET', KNOWN, json(operation)],
      ['GET', CHANGES, json({ changes: [commit] })],
    ]
    const changes = answers
    answers = [...changes, ['GET', SEARCH, problem(503, 'STORE_UNAVAILABLE')]]
    expect(await find()).toMatchObject({ commit, audited: null, missing: { code: 'STORE_UNAVAILABLE' } })
    answers = [...changes, ['GET', SEARCH, problem(403, 'FORBIDDEN')]]
    expect(await find()).toMatchObject({ commit, audited: null, missing: null })
  })

  test('k7_a_search_that_is_too_long_ends_and_says_so', async () => {
    answers = [
      ['GET', KNOWN, problem(404, 'NOT_FOUND')],
      ['GET', SEARCH, json({ operations: [], nextCursor: 'x' })],
    ]
    await expect(find()).rejects.toMatchObject({ code: 'NOT_FOUND', detail: expect.stringContaining('latest 10,000') })
    expect(asked.filter((one) => SEARCH.test(one))).toHaveLength(10)
  })

  test('k7_a_search_whose_limits_cannot_be_read_now_fails_instead_of_finding_nothing', async () => {
    const forgotten: (typeof answers)[number] = ['GET', KNOWN, problem(404, 'NOT_FOUND')]
    answers = [forgotten, ['GET', SEARCH, none], ['GET', CHANGES, problem(503, 'STORE_UNAVAILABLE')]]
    await expect(find(3)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    answers = [forgotten, ['GET', SEARCH, none], ['GET', CHANGES, json({ changes: [] })]]
    await expect(find(3)).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })
})
