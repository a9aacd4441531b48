/** `/console/demo`: two people edit one graph, on the temporary server of `dao-api demo`. */
import '@xyflow/react/dist/base.css'
import './demo.css'
import { useEffect } from 'react'
import type { ApiError } from '../shared/api.ts'
import { get } from '../shared/api.ts'
import { ProblemView } from '../shared/problem.tsx'
import { signIn, useSession } from '../shared/session.ts'
import { useTitle } from '../shared/title.ts'
import { CopyButton, Loading } from '../shared/ui.tsx'
import { useLoad } from '../shared/use_load.ts'
import { arrange } from './arrange.ts'
import { DemoHead } from './demo_head.tsx'
import { Stage } from './stage.tsx'

const COMMAND = 'dao-api demo'

export default function DemoPage() {
  useTitle('Demo')
  useVisitor()
  const { data, error, reload } = useLoad('demo', async (signal) => {
    const { graphId } = await get<{ graphId: string }>('demo', { signal })
    // The page works without it too.
    await arrange(graphId, signal).catch(() => undefined)
    return graphId
  })
  return (
    <div className="demo">
      <DemoHead />
      {data !== undefined && <Stage graphId={data} />}
      {data === undefined && error === undefined && <Loading what="the demo" />}
      {data === undefined && error !== undefined && (
        <main className="demo-none">
          {error.status === 404 ? <NotHere /> : <Failed error={error} onRetry={reload} />}
        </main>
      )}
    </div>
  )
}

/** Links from here into the console need no sign-in: a server without keys believes every name. */
function useVisitor(): void {
  const { phase, mode } = useSession()
  useEffect(() => {
    if (phase === 'signed-out' && mode === 'x-user-id') void signIn('visitor', true).catch(() => {})
  }, [phase, mode])
}

function Failed({ error, onRetry }: { error: ApiError; onRetry: () => void }) {
  return <ProblemView error={error} onRetry={onRetry} />
}

function NotHere() {
  return (
    <div className="demo-elsewhere card">
      <h1>
        This page belongs to <code>{COMMAND}</code>
      </h1>
      <p>
        It starts a server of its own with an example graph, opens this page, and deletes everything at the end. The
        server that you look at keeps real graphs, so nothing is killed here.
      </p>
      <p className="demo-command">
        <code>{COMMAND}</code> <CopyButton text={COMMAND} label="Copy the command" />
      </p>
    </div>
  )
}
