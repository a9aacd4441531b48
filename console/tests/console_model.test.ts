/** The pure parts of the console's own screens. */
import { describe, expect, test } from 'vitest'
import { flowOf } from '../src/graphs/flow_file.ts'
import { changeTags } from '../src/graphs/writes.ts'
import { timeOf } from '../src/operations/filters.tsx'
import { bytes, counted } from '../src/shared/format.ts'
import { sizeAtMost } from '../src/shared/json_size.ts'
import { find, type Shortcut } from '../src/shared/keys.ts'
import {
  compareLink,
  graphLink,
  operationLink,
  parkedLink,
  parseCompare,
  parseGraphSegment,
  queryOf,
} from '../src/shared/links.ts'
import { consoleRootOf } from '../src/shared/place.ts'
import { mayAll, mayOn } from '../src/shared/session.ts'
import { duration, relative } from '../src/shared/time.tsx'
import type { GraphRow } from '../src/shared/types.ts'
import { parseMetrics, quantile, total } from '../src/system/metrics.ts'

describe('k1 every state is an address', () => {
  test('k1_links_name_graph_version_node_and_path', () => {
    expect(graphLink('team-a.flow-7')).toBe('/graphs/team-a.flow-7')
    expect(graphLink('g', 12, { node: 'a', path: '/data/label' })).toBe('/graphs/g@12?node=a&path=/data/label')
    expect(graphLink('g', 'published')).toBe('/graphs/g@published')
    expect(graphLink('g', '2026-11-30T10:00:00Z')).toBe('/graphs/g@2026-11-30T10:00:00Z')
    expect(compareLink('g', 'published', 'head')).toBe('/graphs/g/compare/published..head')
    expect(operationLink('0192', 'g')).toBe('/operations/0192?graph=g')
    expect(parkedLink('mailer')).toBe('/subscriptions/mailer/parked')
    expect(queryOf({ q: 'a b', tag: '', owner: null })).toBe('?q=a+b')
  })

  test.each(['g', 'team-a.flow_7:x'])('k1_graph_segment_is_read_back %s', (id) => {
    for (const at of [null, '12', 'published', '2026-11-30T10:00:00Z'])
      expect(parseGraphSegment(graphLink(id, at).slice('/graphs/'.length))).toEqual({ id, at })
  })

  test('k1_comparison_is_read_back', () => {
    expect(parseCompare('compare/published..head')).toEqual({ from: 'published', to: 'head' })
    expect(parseCompare('compare/v1.2..v1.3')).toEqual({ from: 'v1.2', to: 'v1.3' })
    expect(parseCompare('compare/3')).toBeNull()
    expect(parseCompare(null)).toBeNull()
  })

  test('k1_root_follows_from_the_script_at_any_prefix', () => {
    expect(consoleRootOf('http://h/console/assets/0a1b2c3d/app.js')).toBe('http://h/console/')
    expect(consoleRootOf('https://h/tools/console/console/assets/app.js')).toBe('https://h/tools/console/console/')
    expect(() => consoleRootOf('http://h/assets/app.js')).toThrow()
  })
})

describe('k2 rights', () => {
  test('k2_the_highest_glob_that_matches_counts', () => {
    const access = { 'team-a.*': 'write', '*': 'read', 'team-a.flow-7': 'admin' }
    expect(mayOn('team-a.flow-7', 'admin', { access })).toBe(true)
    expect(mayOn('team-a.flow-8', 'write', { access })).toBe(true)
    expect(mayOn('team-a.flow-8', 'admin', { access })).toBe(false)
    expect(mayOn('team-b', 'write', { access })).toBe(false)
    expect(mayOn('teamXa.flow', 'write', { access })).toBe(false)
    expect(mayAll({ access })).toBe(false)
    expect(mayAll({ access: { '*': 'admin' } })).toBe(true)
  })

  test('k2_tags_are_added_and_removed', () => {
    const row = { attributes: { tags: ['draft', 'ops'] } } as unknown as GraphRow
    expect(changeTags(row, 'billing, -draft')).toEqual(['ops', 'billing'])
    expect(changeTags(row, ' +ops , ')).toEqual(['draft', 'ops'])
  })
})

describe('files', () => {
  test('ds5_what_belongs_to_one_screen_is_left_out', () => {
    const text = JSON.stringify({
      nodes: [{ id: 'a', selected: true, measured: {}, data: { selected: 1 } }],
      edges: [],
      viewport: { x: 1, y: 2, zoom: 1 },
    })
    expect(flowOf(text)).toEqual({
      document: { nodes: [{ id: 'a', data: { selected: 1 } }], edges: [], viewport: { x: 1, y: 2, zoom: 1 } },
      told: '1 node and 0 edges.',
    })
    for (const bad of ['{', '[]', '{"nodes":[1]}', 'null']) expect(flowOf(bad).document).toBeUndefined()
  })
})

describe('k3 never more than asked', () => {
  test('k3_size_is_counted_until_it_is_known_to_be_large', () => {
    expect(sizeAtMost({ a: 'xy' }, 100)).toBe(JSON.stringify({ a: 'xy' }).length + 1)
    let seen = 0
    const huge = new Proxy(new Array(1_000_000).fill('x'), {
      get: (list, key) => {
        if (typeof key === 'string' && /^\d+$/.test(key)) seen++
        return Reflect.get(list, key)
      },
    })
    expect(sizeAtMost({ huge }, 1000)).toBeGreaterThan(1000)
    expect(seen).toBeLessThan(1000)
  })
})

describe('times in addresses', () => {
  test('k1_an_address_without_a_date_is_no_fault', () => {
    expect(timeOf('1764500000000')).toBe(1_764_500_000_000)
    for (const bad of [null, '', 'x', '1e20', '9000000000000000', 'Infinity']) expect(timeOf(bad)).toBeNull()
  })
})

describe('texts', () => {
  test('k9_times_are_relative', () => {
    const now = 1_000_000_000_000
    expect(relative(now - 2_000, now)).toBe('just now')
    expect(relative(now - 180_000, now)).toBe('3 min ago')
    expect(relative(now + 7_200_000, now)).toBe('in 2 h')
    expect(duration(12_000)).toBe('12 s')
  })

  test('numbers', () => {
    expect(bytes(32 * 1024)).toBe('32 KiB')
    expect(bytes(1_500_000)).toBe('1.4 MiB')
    expect(counted(1, 'graph')).toBe('1 graph')
    expect(counted(1204, 'graph')).toBe('1,204 graphs')
  })
})

describe('keys', () => {
  const shortcut = (keys: string): Shortcut => ({ keys, label: keys, run: () => undefined })

  test('k8_sequences_begin_and_end_and_the_latest_wins', () => {
    const list = [shortcut('g o'), shortcut('/'), shortcut('/')]
    expect(find(list, null, 'g')).toBe('begins')
    expect(find(list, 'g', 'o')).toBe(list[0])
    expect(find(list, null, '/')).toBe(list[2])
    expect(find(list, null, 'o')).toBeNull()
  })
})

describe('metrics', () => {
  const text = [
    '# TYPE dao_append_duration_seconds histogram',
    'dao_append_duration_seconds_bucket{le="0.001"} 50',
    'dao_append_duration_seconds_bucket{le="0.01"} 100',
    'dao_append_duration_seconds_bucket{le="+Inf"} 100',
    'dao_commits_total{kind="a \\"b\\""} 3',
    'dao_commits_total{kind="c"} 4',
    'dao_build_info{version="0.1.0"} 1',
  ].join('\n')

  test('samples_are_read_summed_and_interpolated', () => {
    const samples = parseMetrics(text)
    expect(total(samples, 'dao_commits_total')).toBe(7)
    expect(total(samples, 'dao_commits_total', { kind: 'c' })).toBe(4)
    expect(quantile(samples, 'dao_append_duration_seconds', 0.5)).toBeCloseTo(0.001)
    expect(quantile(samples, 'dao_append_duration_seconds', 0.99)).toBeCloseTo(0.00982)
    expect(quantile(samples, 'nothing', 0.99)).toBeNull()
  })
})
