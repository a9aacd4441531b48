/** The pure modules behind the canvas, the outline and the activity. */
import { expect, describe as group, test } from 'vitest'
import { summary } from '../src/graph/activity_summary.ts'
import { boundsOf, boxAt, boxesOf, runsAcross, sizeOf, viewOf } from '../src/graph/canvas/geometry.ts'
import { outline } from '../src/graph/outline.ts'
import { Recent } from '../src/graph/recent.ts'
import { labelOf, shortValue } from '../src/graph/text.ts'

const nodes = [
  { id: 'g', type: 'group', position: { x: 100, y: 100 }, style: { width: 400, height: 300 } },
  { id: 'a', position: { x: 10, y: 20 }, parentId: 'g', data: { label: 'A' } },
  { id: 'b', position: { x: 700, y: 120 }, width: 90, height: 40 },
]
const edges = [{ id: 'ab', source: 'a', target: 'b', label: 'then' }]
const snapshot = { nodes, edges, viewport: { x: 0, y: 0, zoom: 1 }, attributes: {}, ready: true }

group('k5 geometry', () => {
  test('k5_boxes_are_absolute_and_have_the_sizes_of_the_graph', () => {
    const boxes = boxesOf(nodes)
    expect(boxes.get('a')).toMatchObject({ x: 110, y: 120, isGroup: false })
    expect(boxes.get('g')).toMatchObject({ width: 400, height: 300, isGroup: true })
    expect(boxes.get('b')).toMatchObject({ width: 90, height: 40 })
    expect(boundsOf(boxes.values())).toEqual({ x: 100, y: 100, width: 690, height: 300 })
    expect(boundsOf([])).toBeNull()
    expect(runsAcross(edges, boxes)).toBe(true)
    expect(sizeOf({ id: 'x', position: { x: 0, y: 0 }, style: { width: '50px' } }, false).width).toBe(50)
  })

  test('k5_a_click_finds_what_is_inside_of_a_group_first', () => {
    const boxes = boxesOf(nodes)
    expect(boxAt(boxes, 115, 125)?.id).toBe('a')
    expect(boxAt(boxes, 450, 350)?.id).toBe('g')
    expect(boxAt(boxes, 0, 0)).toBeNull()
  })

  test('k5_cycles_of_parents_and_missing_parents_end', () => {
    const odd = [
      { id: 'x', position: { x: 1, y: 1 }, parentId: 'y' },
      { id: 'y', position: { x: 1, y: 1 }, parentId: 'x' },
      { id: 'z', position: { x: 5, y: 5 }, parentId: 'nobody' },
    ]
    expect(boxesOf(odd).size).toBe(3)
    expect(boxesOf(odd).get('z')).toMatchObject({ x: 5, y: 5 })
  })

  test('k5_the_view_shows_all_and_never_magnifies', () => {
    const view = viewOf({ x: 0, y: 0, width: 24_000, height: 11_000 }, 900, 600)
    expect(view.zoom).toBeCloseTo(0.03525)
    expect(viewOf({ x: 0, y: 0, width: 10, height: 10 }, 900, 600).zoom).toBe(1)
    expect(viewOf(null, 900, 600)).toEqual({ x: 450, y: 300, zoom: 1 })
  })
})

group('k8 outline', () => {
  test('k8_it_has_every_node_and_edge', () => {
    expect(outline(snapshot, new Set()).map(({ key }) => key)).toEqual(['node g', 'node b'])
    const all = outline(snapshot, new Set(['node g', 'node a']))
    expect(all.map(({ key, level }) => `${level} ${key}`)).toEqual(['1 node g', '2 node a', '3 edge ab', '1 node b'])
    expect(all[2]).toMatchObject({ label: '→ b', type: 'then', detail: 'from A' })
  })

  test('k8_a_filter_lists_flat_what_fits', () => {
    expect(outline(snapshot, new Set(), 'then').map(({ label }) => label)).toEqual(['A → b'])
    expect(outline(snapshot, new Set(), 'GROUP').map(({ id }) => id)).toEqual(['g'])
  })
})

group('a6 activity', () => {
  test('a6_counts_are_added_up_by_person_and_by_time', () => {
    const hour = 3_600_000
    const at = new Date(2026, 10, 30, 9).getTime()
    const counts = [
      { hour: at, type: 'NodeMoved', userId: 'ada', events: 3 },
      { hour: at + hour, type: 'NodeMoved', userId: 'bob', events: 1 },
      { hour: at + hour, type: 'NodeCreated', userId: 'ada', events: 4 },
    ]
    const byHour = summary(counts, 'hour')
    expect(byHour.events).toBe(8)
    expect(byHour.people.map(({ userId, events }) => [userId, events])).toEqual([
      ['ada', 7],
      ['bob', 1],
    ])
    expect(byHour.people[0]!.types[0]).toEqual({ type: 'NodeCreated', events: 4 })
    expect(byHour.times.map(({ events }) => events)).toEqual([3, 5])
    expect(summary(counts, 'day').times).toHaveLength(1)
  })
})

group('k3 bounds', () => {
  test('k3_the_least_recently_used_goes_first', () => {
    const recent = new Recent<string, number>(2)
    recent.set('a', 1)
    recent.set('b', 2)
    recent.get('a')
    recent.set('c', 3)
    expect([recent.has('a'), recent.has('b'), recent.has('c'), recent.size]).toEqual([true, false, true, 2])
  })

  test('k3_long_texts_are_cut_and_never_in_the_middle_of_a_letter', () => {
    expect(shortValue('x'.repeat(100), 10)).toBe(`"${'x'.repeat(9)}…"`)
    expect(shortValue('😀😀😀😀', 3)).toBe('"😀😀…"')
    expect(shortValue({ x: 1.23456, y: 2 })).toBe('1.2, 2')
    expect(shortValue(null)).toBe('–')
    expect(labelOf({ id: 'n', data: { label: ' ' } })).toBe('n')
  })
})
