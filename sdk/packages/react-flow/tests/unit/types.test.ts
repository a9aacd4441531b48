import { type Client, createClient } from '@dao-api/client'
import type { Edge, Node, NodeProps, ReactFlowProps } from '@xyflow/react'
import { describe, expectTypeOf, test } from 'vitest'
import {
  type GraphFlow,
  type Person,
  useField,
  useGraphFlow,
  useNode,
  useOthers,
  useSelectedBy,
} from '../../src/index.ts'

type TaskNode = Node<{ label: string; due?: number }, 'task'>
type Labelled = Edge<{ weight: number }>

/** Never called: only its types count. */
const flow = (): GraphFlow<TaskNode, Labelled> =>
  useGraphFlow<TaskNode, Labelled>({} as Client, 'g', { local: { task: ['data.hover'] } })

describe('types', () => {
  test('the props are those of <ReactFlow> with the same nodes and edges', () => {
    expectTypeOf<ReturnType<typeof flow>['props']>().toExtend<ReactFlowProps<TaskNode, Labelled>>()
    expectTypeOf<ReturnType<typeof flow>['props']['nodes'][number]['data']['label']>().toEqualTypeOf<string>()
    expectTypeOf<ReturnType<typeof flow>['props']['edges'][number]>().toEqualTypeOf<Labelled>()
  })

  test('without types, nodes and edges are React Flow’s own', () => {
    expectTypeOf(useGraphFlow).parameter(0).toEqualTypeOf<Client>()
    expectTypeOf<GraphFlow['props']>().toExtend<ReactFlowProps>()
  })

  test('a new edge has no id and no ends of its own', () => {
    const options = { newEdge: () => ({ data: { weight: 1 } }) }
    expectTypeOf(useGraphFlow<TaskNode, Labelled>)
      .parameter(2)
      .extract<object>()
      .toHaveProperty('newEdge')
    expectTypeOf(options.newEdge).returns.toExtend<Partial<Omit<Labelled, 'id' | 'source' | 'target'>>>()
  })

  test('hooks say what they give', () => {
    expectTypeOf(useField<number>).returns.toEqualTypeOf<[number | undefined, (value: number | undefined) => void]>()
    expectTypeOf(useNode<TaskNode>).returns.toEqualTypeOf<TaskNode | undefined>()
    expectTypeOf(useOthers).returns.toEqualTypeOf<readonly Person[]>()
    expectTypeOf(useSelectedBy).parameter(0).toEqualTypeOf<NodeProps['id']>()
    // Any flow fits, whatever its nodes are.
    expectTypeOf<ReturnType<typeof flow>>().toExtend<Parameters<typeof useOthers>[0]>()
  })

  test('the client of the other package fits', () => {
    expectTypeOf(createClient).returns.toEqualTypeOf<Client>()
  })
})
