/**
 * The store does to its nodes what React Flow's own `applyNodeChanges` does to an array: at once, after each task, and in
 * the graph once everything is sent. Random changes, shrunk by fast-check.
 */
import { applyNodeChanges, type Node, type NodeChange } from '@xyflow/react'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { endOfTask, node, setUp } from './set_up.ts'

const IDS = ['a', 'b', 'c', 'd']
const id = fc.constantFrom(...IDS)
const place = fc.record({ x: fc.integer({ min: -9, max: 9 }), y: fc.integer({ min: -9, max: 9 }) })

/** A change, made of what is there when it is its turn. */
type Act = (nodes: Node[]) => NodeChange[]

const here = (nodes: Node[], ids: string[]): string[] => ids.filter((one) => nodes.some((each) => each.id === one))

const acts: fc.Arbitrary<Act> = fc.oneof(
  fc.tuple(fc.uniqueArray(id, { minLength: 1 }), place, fc.boolean()).map(
    ([ids, position, dragging]): Act =>
      (nodes) =>
        here(nodes, ids).map((one) => ({ type: 'position', id: one, position, dragging })),
  ),
  fc.tuple(id, fc.integer({ min: 1, max: 99 }), fc.boolean()).map(
    ([one, width, resizing]): Act =>
      (nodes) =>
        here(nodes, [one]).map((each) => ({
          type: 'dimensions',
          id: each,
          resizing,
          dimensions: { width, height: 10 },
          ...(resizing && { setAttributes: true }),
        })),
  ),
  fc.tuple(id, fc.boolean()).map(
    ([one, selected]): Act =>
      (nodes) =>
        here(nodes, [one]).map((each) => ({ type: 'select', id: each, selected })),
  ),
  fc.tuple(id, fc.constantFrom('label', 'note'), fc.string({ maxLength: 3 })).map(
    ([one, key, text]): Act =>
      (nodes) =>
        nodes
          .filter((each) => each.id === one)
          .map((each) => ({ type: 'replace', id: one, item: { ...each, data: { ...each.data, [key]: text } } })),
  ),
  id.map(
    (one): Act =>
      (nodes) =>
        here(nodes, [one]).map((each) => ({ type: 'remove', id: each })),
  ),
  fc.tuple(id, place).map(
    ([one, position]): Act =>
      (nodes) =>
        here(nodes, [one]).length > 0 ? [] : [{ type: 'add', item: { id: one, position, data: { label: one } } }],
  ),
)

const step = fc.record({ act: acts, endsTask: fc.boolean(), flushes: fc.boolean() })

/** What a person sees of a node. Order is not compared: an id that comes again is last in both. */
const seen = (nodes: readonly Node[]): unknown[] =>
  nodes
    .map(({ id: one, position, data, width, height, measured, selected, dragging, resizing }) => ({
      id: one,
      position,
      data,
      width,
      height,
      measured,
      marks: [Boolean(selected), Boolean(dragging), Boolean(resizing)],
    }))
    .sort((x, y) => x.id.localeCompare(y.id))

/** What is stored of it. */
const stored = (nodes: readonly { [key: string]: unknown; id: string }[]): unknown[] =>
  nodes
    .map(({ id: one, position, data, width, height }) => ({ id: one, position, data, width, height }))
    .sort((x, y) => x.id.localeCompare(y.id))

test('M10 M7 random changes: the view is what React Flow would make of them, and the graph gets all of it', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const { graph, store } = setUp(IDS.map((one) => node(one)))
      let expected: Node[] = IDS.map((one) => ({ ...node(one), data: { label: one } }))
      for (const { act, endsTask, flushes } of steps) {
        const changes = act(store.getSnapshot().nodes)
        // A node that is gone and comes again in one task is another object in React Flow and the same node here.
        if (changes.some((change) => change.type === 'add' || change.type === 'remove')) await endOfTask()
        store.onNodesChange(changes)
        expected = applyNodeChanges(changes, expected)
        expect(seen(store.getSnapshot().nodes)).toEqual(seen(expected))
        if (changes.some((change) => change.type === 'add' || change.type === 'remove')) await endOfTask()
        if (endsTask) await endOfTask()
        if (flushes) store.flush()
        expect(seen(store.getSnapshot().nodes)).toEqual(seen(expected))
      }
      store.flush()
      expect(seen(store.getSnapshot().nodes)).toEqual(seen(expected))
      expect(stored([...graph.getSnapshot().nodes])).toEqual(stored(expected))
    }),
    { numRuns: 150 },
  )
})
