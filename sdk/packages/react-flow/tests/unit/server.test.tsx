// On a server: in Node, without a document.
import type { Client } from '@dao-api/client'
import { ReactFlow } from '@xyflow/react'
import { type ReactNode, Suspense } from 'react'
import { renderToString } from 'react-dom/server'
import { describe, expect, test } from 'vitest'
import {
  ClipboardKeys,
  Cursors,
  SyncBadge,
  UndoKeys,
  useGraphFlow,
  useOthers,
  useRefusals,
  useSyncStatus,
  useUndo,
} from '../../src/index.ts'
import { useSuspenseGraphFlow } from '../../src/suspense.ts'

/** Whoever opens a graph or connects fails. */
const client = new Proxy({} as Client, {
  get: (_, name) => {
    throw new Error(`a server has no use for ${String(name)}`)
  },
})

function Editor({ use }: { use: typeof useGraphFlow }): ReactNode {
  const flow = use(client, 'g', { me: { name: 'Ada' } })
  useRefusals(flow, () => {})
  const { connection } = useSyncStatus(flow)
  const { canUndo } = useUndo(flow)
  return (
    <>
      <ReactFlow {...flow.props} fitView>
        <Cursors flow={flow} />
        <SyncBadge flow={flow} />
        <UndoKeys flow={flow} />
        <ClipboardKeys flow={flow} />
      </ReactFlow>
      <output>{JSON.stringify({ connection, canUndo, ready: flow.ready, others: useOthers(flow).length })}</output>
    </>
  )
}

describe('a server', () => {
  test.each([
    ['useGraphFlow', useGraphFlow],
    ['useSuspenseGraphFlow', useSuspenseGraphFlow],
  ])('renders an empty flow with %s, opens nothing and waits for nothing', (_, use) => {
    expect(typeof document).toBe('undefined')
    const html = renderToString(
      <Suspense fallback="loading">
        <Editor use={use} />
      </Suspense>,
    ).replaceAll('&quot;', '"')
    expect(html).toContain('class="react-flow')
    expect(html).toContain('{"connection":"connecting","canUndo":false,"ready":false,"others":0}')
    expect(html).not.toContain('react-flow__node ')
    expect(html).not.toContain('loading')
  })
})
