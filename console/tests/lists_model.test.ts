/** Lists in pages: what is shown after the first page came again, and what is selected. */
import { describe, expect, test } from 'vitest'
import {
  extended,
  type Held,
  isGone,
  MOST_EMPTY,
  type Page,
  readAgain,
  readPage,
  renewed,
} from '../src/shared/pages.ts'
import { onlyOf, toggled } from '../src/shared/use_selection.ts'

type List = Held<string>
const idOf = (item: string): string => item
const none: List = {
  ...{ key: 'k', items: [], cursor: null, pages: 0, loading: true },
  ...{ error: undefined, asOf: undefined, dry: false, bare: false },
}
const first = (held: List, items: string, nextCursor: string | null): List =>
  renewed(held, { items: [...items], nextCursor, pages: 1 }, idOf, 'k')
const next = (held: List, items: string, nextCursor: string | null): List =>
  extended(held, { items: [...items], nextCursor }, idOf)
const shown = ({ items, cursor }: List): string => `${items.join('')} ${cursor}`

/** A server that lists `rows` in pages, and counts the requests. */
function server(rows: () => string, size: number) {
  const asked: (string | null)[] = []
  const load = async (cursor: string | null): Promise<Page<string>> => {
    asked.push(cursor)
    const from = cursor === null ? 0 : rows().indexOf(cursor) + 1
    const items = [...rows().slice(from, from + size)]
    return { items, nextCursor: from + size < rows().length ? items.at(-1)! : null }
  }
  return { asked, load }
}

async function poll(held: List, load: (cursor: string | null) => Promise<Page<string>>): Promise<List> {
  const { read, whole } = await readAgain(load, () => held, idOf, false)
  return renewed(whole ? { ...held, pages: 0 } : held, read, idOf, 'k')
}

describe('k3 pages', () => {
  test('k3_the_first_page_is_renewed_without_losing_later_ones', () => {
    const two = next(first(none, 'ab', 'b'), 'cd', 'd')
    expect(shown(two)).toBe('abcd d')
    expect(shown(first(two, 'na', 'a'))).toBe('nabcd d')
    expect(shown(first(first(none, 'ab', 'b'), 'n', null))).toBe('n null')
  })

  test('k3_rows_between_the_fresh_page_and_what_is_known_are_asked_for', () => {
    const two = next(first(none, 'ab', 'b'), 'cd', null)
    expect(shown(first(two, 'yx', 'x'))).toBe('yx x')
  })

  test('k3_a_row_that_is_gone_is_not_shown', () => {
    const two = next(first(none, 'abc', 'c'), 'def', 'f')
    expect(shown(first(two, 'acd', 'd'))).toBe('acdef f')
    expect(shown(first(two, 'bcd', 'd'))).toBe('bcdef f')
  })

  test('k3_nothing_is_behind_the_last_page', () => {
    const two = next(first(none, 'abc', 'c'), 'def', 'f')
    expect(shown(first(two, 'ab', null))).toBe('ab null')
    expect(shown(first(two, '', null))).toBe(' null')
  })

  test('k3_the_list_of_a_polled_server_is_that_of_the_server', async () => {
    let rows = 'abcdefghijkl'
    const { asked, load } = server(() => rows, 3)
    let held = first(none, 'abc', 'c')
    for (let i = 0; i < 2; i++) held = extended(held, await load(held.cursor), idOf)
    asked.length = 0
    // Nothing changed, something is new: one request. Something is gone, or moved up from behind: as many as are shown.
    for (const [now, requests] of [
      ['abcdefghijkl', 1],
      ['nabcdefghijkl', 1],
      ['nbcdefghijkl', 3],
      ['nbhcdefgijkl', 3],
      ['bh', 1],
    ] as const) {
      rows = now
      held = await poll(held, load)
      expect(now.startsWith(held.items.join('')), `${held.items.join('')} of ${now}`).toBe(true)
      expect(asked.splice(0)).toHaveLength(requests)
      if (now.length > 3) expect(held.pages).toBe(3)
    }
    expect(shown(held)).toBe('bh null')
  })

  test('k3_a_row_that_is_gone_is_seen', () => {
    const two = next(first(none, 'abc', 'c'), 'def', 'f')
    const page = (items: string): Page<string> => ({ items: [...items], nextCursor: 'x' })
    expect(isGone(two, page('nab'), idOf)).toBe(false)
    expect(isGone(two, page('acd'), idOf)).toBe(true)
    expect(isGone(two, page('abf'), idOf)).toBe(true)
    expect(isGone(two, page('xyz'), idOf)).toBe(false)
  })

  test('a1_empty_pages_are_followed_so_far_and_then_somebody_has_to_ask', async () => {
    let asked = 0
    const page = await readPage<string>(async () => ({ items: [], nextCursor: String(++asked) }), null)
    expect(asked).toBe(MOST_EMPTY + 1)
    const held = renewed(none, page, idOf, 'k')
    expect(held).toMatchObject({ items: [], dry: true, cursor: String(asked) })
    const further = extended(held, { items: ['a'], nextCursor: null }, idOf)
    expect(further.dry).toBe(false)
    expect(shown(renewed(further, page, idOf, 'k'))).toBe('a null')
    expect(shown(renewed(next(first(none, 'a', 'a'), 'b', 'b'), page, idOf, 'k'))).toBe(` ${page.nextCursor}`)
    expect(extended(first(none, 'a', 'a'), page, idOf).dry).toBe(true)
  })
})

describe('k2 selection', () => {
  test('k2_what_is_gone_is_not_selected', () => {
    const selected = toggled(toggled(new Set(), 'a', true), 'b', true)
    expect(onlyOf(selected, ['b', 'a', 'c'])).toBe(selected)
    expect(onlyOf(selected, ['b', 'c'])).toEqual(new Set(['b']))
    expect(onlyOf(selected, [])).toEqual(new Set())
    expect(toggled(selected, 'b', false)).toEqual(new Set(['a']))
  })
})
