/** What a restore is said to do, and what a list calls things. */
import { describe, expect, test } from 'vitest'
import { learnNames } from '../src/graph/describe.ts'
import { restoreWords } from '../src/graph/restored.ts'
import { namesOf } from '../src/graph/text.ts'
import type { Difference } from '../src/graph/wire_types.ts'
import { stamp } from '../src/shared/time.tsx'

const NOTHING = { added: [], removed: [], changed: [] }
const viewport = { before: { x: 0, y: 0, zoom: 1 }, after: { x: 9, y: 0, zoom: 1 } }
const difference = (more: object): Difference =>
  ({ from: 33, to: 30, nodes: NOTHING, edges: NOTHING, ...more }) as never
const change = (id: string, path: string) => ({ id, changes: [{ path, before: 1, after: 2 }] })

describe('k2 the preview of a restore', () => {
  test('k2_it_names_kinds_and_leaves_out_what_is_none', () => {
    const nodes = {
      added: [{ id: 'a' }],
      removed: [{ id: 'b' }],
      changed: [change('c', '/data/label'), ...['d', 'e', 'f'].map((id) => change(id, '/position'))],
    }
    const edges = { added: [{ id: 'x' }, { id: 'y' }], removed: [], changed: [] }
    expect(restoreWords(difference({ nodes, edges }), 30, false)).toBe(
      'It brings back 1 node and 2 edges, removes 1 node, changes 1 node, moves 3 nodes.',
    )
  })

  test('k2_the_viewport_and_attributes_count_only_if_they_are_restored', () => {
    const attributes = [
      { path: '/title', before: 'a', after: 'b' },
      { path: '/settings/readOnly', before: false, after: true },
    ]
    const both = difference({ viewport, attributes })
    expect(restoreWords(both, 30, false)).toBe(
      'The nodes and edges are already the same as v30: it changes nothing. Only 1 attribute and the viewport differ; tick the box to restore that too.',
    )
    expect(restoreWords(both, 30, true)).toBe('It sets back 1 attribute and the viewport.')
    expect(restoreWords(difference({ viewport }), 30, false)).toContain('Only the viewport differs;')
    expect(restoreWords(difference({}), 30, true)).toBe(
      'The nodes and edges are already the same as v30: it changes nothing.',
    )
  })
})

describe('names and times of a list', () => {
  test('k7_what_an_old_version_has_not_has_the_name_of_now', () => {
    const node = (id: string, label: string) => ({ id, position: { x: 0, y: 0 }, data: { label } })
    const now = { nodes: [node('a', 'Start'), node('b', 'New')], edges: [{ id: 'ab', source: 'a', target: 'b' }] }
    const old = { nodes: [node('a', 'Begin')], edges: [] }
    expect([...namesOf([now, old])]).toEqual([
      ['a', 'Begin'],
      ['b', 'New'],
      ['ab', 'Begin → New'],
    ])
  })

  test('k7_what_is_in_neither_has_the_name_with_which_it_was_made', () => {
    const names = new Map<string, string>()
    learnNames([{ type: 'NodeDeleted', nodeId: 'a' }] as never, names)
    learnNames([{ type: 'NodeRestored', node: { id: 'a', data: { label: 'Newer' } } }] as never, names)
    learnNames([{ type: 'NodeCreated', node: { id: 'a', data: { label: 'Older' } } }] as never, names)
    expect([...names]).toEqual([['a', 'Newer']])
  })

  test('k8_a_time_of_another_day_says_which', () => {
    const now = new Date(2026, 11, 1, 0, 5).getTime()
    expect(stamp(now - 60_000, now)).toBe('00:04:00')
    expect(stamp(now - 600_000, now)).toBe('2026-11-30 23:55:00')
  })
})
