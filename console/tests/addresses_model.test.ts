/** k1: an address names exactly what it was made of, through the router and back. */
import { type ComponentProps, createElement, type ReactNode } from 'react'
import { renderToString } from 'react-dom/server'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { Link, Route, Router, useParams as useRouteParams } from 'wouter'
import { type Place, placeLink, usePlace } from '../src/graph/place.ts'
import { copyIdOf, GRAPH_ID_PATTERN, isGraphId } from '../src/shared/graph_ids.ts'
import { decode, graphLink, operationLink, parkedLink, parseGraphSegment } from '../src/shared/links.ts'
import { hrefs, pathBelow, useConsoleLocation } from '../src/shared/location.ts'
import { useParams } from '../src/shared/use_params.ts'

const IDS = [
  '%',
  '%25',
  '%2F',
  '%2525',
  '100%',
  'a b',
  'a+b',
  'a/b',
  'a#b',
  'a?b=c&d',
  '@ada:1',
  'Zürich → 東京 🛰',
  '..x',
]

type Params = Record<string, string | undefined>

function Reader({ read }: { read: (params: Params) => void }) {
  read(useRouteParams())
  return null
}

const show = (child: ReactNode): string =>
  renderToString(createElement(Router, { hook: useConsoleLocation, hrefs } as ComponentProps<typeof Router>, child))

/** What `read` gets below a route while the browser is at a link of the console. */
function at<T>(link: string, path: string, read: (params: Params) => T): T {
  const { pathname, search } = new URL(hrefs(link), 'http://localhost')
  vi.stubGlobal('location', { pathname, search })
  const seen: T[] = []
  show(createElement(Route, { path }, createElement(Reader, { read: (params) => seen.push(read(params)) })))
  expect(seen).toHaveLength(1)
  return seen[0]!
}

describe('k1 ids are read back from the address', () => {
  afterEach(() => vi.unstubAllGlobals())

  test.each(IDS)('k1_a_part_of_the_path %s', (id) => {
    expect(at(operationLink(id), '/operations/:id', (params) => decode(params.id!))).toBe(id)
    expect(at(parkedLink(id), '/subscriptions/:name/parked', (params) => decode(params.name!))).toBe(id)
  })

  test.each(IDS)('k1_a_value_of_the_query %s', (id) => {
    const link = operationLink('0192', id)
    expect(at(link, '/operations/:id', () => useParams()[0].get('graph'))).toBe(id)
  })

  test.each(IDS)('k1_a_node_or_edge_of_a_graph %s', (id) => {
    for (const kind of ['node', 'edge'] as const) {
      const place: Place = {
        ...{ id: 'g', at: '12', chosen: { kind, id }, path: `/data/${id}` },
        ...{ tab: 'history', show: 'outline' },
      }
      const read = at(placeLink(place), '/graphs/:graph/*?', ({ graph }) => {
        const { id, at } = parseGraphSegment(graph!)
        return usePlace(id, at).place
      })
      expect(read).toEqual(place)
    }
  })

  test('k1_what_is_not_encoded_right_is_no_fault', () => {
    expect(at('/operations/%', '/operations/:id', ({ id }) => decode(id!))).toBe('%')
    expect(at('/operations/%E0%A4', '/operations/:id', ({ id }) => decode(id!))).toBe('%E0%A4')
  })

  test('k1_links_have_the_base_and_the_path_has_not', () => {
    vi.stubGlobal('location', { pathname: '/console/', search: '' })
    const html = show(createElement(Link, { href: graphLink('g', 3) }, 'g'))
    expect(html).toContain('href="/console/graphs/g@3"')
    expect(pathBelow('/a%20b/console', '/a%20b/console/graphs')).toBe('/graphs')
    expect(pathBelow('/console', '/console')).toBe('/')
    expect(pathBelow('/console', '/consoles')).toBe('~/consoles')
  })
})

describe('g3 ids of graphs', () => {
  test('g3_an_id_is_one_wherever_it_is_typed', () => {
    // As browsers read the `pattern` of an input.
    const typed = new RegExp(`^(?:${GRAPH_ID_PATTERN})$`, 'v')
    const ids = ['a', 'team-a.flow_1:x', '7', 'x'.repeat(128)]
    const others = ['', '-a', '.a', 'a b', 'a/b', 'a@1', 'é', 'a*', 'x'.repeat(129)]
    for (const isOne of [isGraphId, (text: string) => typed.test(text)])
      expect([...ids, ...others].filter(isOne)).toEqual(ids)
  })

  test('g3_the_id_that_a_copy_is_proposed_is_another_one_and_not_too_long', () => {
    expect(copyIdOf('flow')).toBe('flow-copy')
    for (const length of [1, 123, 124, 127, 128]) {
      const id = 'x'.repeat(length)
      expect(isGraphId(copyIdOf(id))).toBe(true)
      expect(copyIdOf(id)).not.toBe(id)
    }
  })
})
