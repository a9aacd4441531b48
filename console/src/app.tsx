/** Routes. Everything is below `/console`, wherever that is. */
import { lazy, Suspense } from 'react'
import { Redirect, Route, Router, Switch } from 'wouter'
import { GraphsPage } from './graphs/graphs_page.tsx'
import { NotFoundPage } from './not_found_page.tsx'
import { decode, parseGraphSegment } from './shared/links.ts'
import { hrefs, useConsoleLocation } from './shared/location.ts'
import { useSession } from './shared/session.ts'
import { Loading } from './shared/ui.tsx'
import { Shell } from './shell/shell.tsx'
import { SignInPage } from './sign_in/sign_in_page.tsx'

const DemoPage = lazy(() => import('./demo/demo_page.tsx'))
// Only what the list of graphs needs is in the first file.
const OperationPage = lazy(async () => ({ default: (await import('./operations/operation_page.tsx')).OperationPage }))
const OperationsPage = lazy(async () => ({
  default: (await import('./operations/operations_page.tsx')).OperationsPage,
}))
const ParkedPage = lazy(async () => ({ default: (await import('./subscriptions/parked_page.tsx')).ParkedPage }))
const SubscriptionsPage = lazy(async () => ({
  default: (await import('./subscriptions/subscriptions_page.tsx')).SubscriptionsPage,
}))
const SystemPage = lazy(async () => ({ default: (await import('./system/system_page.tsx')).SystemPage }))
const GraphPage = lazy(() => import('./graph/graph_page.tsx'))

export function App() {
  const { phase } = useSession()
  return (
    <Router hook={useConsoleLocation} hrefs={hrefs}>
      <Switch>
        <Route path="/demo">
          <Suspense fallback={<Loading what="the demo" />}>
            <DemoPage />
          </Suspense>
        </Route>
        <Route>
          {phase === 'signed-in' ? (
            <Shell>
              <Pages />
            </Shell>
          ) : (
            <SignInPage />
          )}
        </Route>
      </Switch>
    </Router>
  )
}

function Pages() {
  return (
    <Suspense fallback={<Loading what="the page" />}>
      <Switch>
        <Route path="/">
          <Redirect to="/graphs" replace />
        </Route>
        <Route path="/graphs" component={GraphsPage} />
        <Route path="/graphs/:graph/*?">{(params) => <Graph segment={params.graph} sub={params['*'] ?? null} />}</Route>
        <Route path="/operations">
          <OperationsPage />
        </Route>
        <Route path="/operations/:id">{({ id }) => <OperationPage id={decode(id)} />}</Route>
        <Route path="/subscriptions">
          <SubscriptionsPage />
        </Route>
        <Route path="/subscriptions/:name">{({ name }) => <ParkedPage name={decode(name)} />}</Route>
        <Route path="/subscriptions/:name/parked">{({ name }) => <ParkedPage name={decode(name)} />}</Route>
        <Route path="/system">
          <SystemPage />
        </Route>
        <Route component={NotFoundPage} />
      </Switch>
    </Suspense>
  )
}

function Graph({ segment, sub }: { segment: string; sub: string | null }) {
  const { id, at } = parseGraphSegment(segment)
  return <GraphPage key={id} id={id} at={at} sub={sub === '' ? null : sub} />
}
