import { Link } from 'wouter'
import { graphsLink } from './shared/links.ts'
import { useTitle } from './shared/title.ts'
import { Empty } from './shared/ui.tsx'

export function NotFoundPage() {
  useTitle('Not found')
  return (
    <main className="page">
      <h1 className="hidden">Not found</h1>
      <Empty title="There is no such page">
        <p>The address may be misspelt, or from another release of the console.</p>
        <p>
          <Link href={graphsLink()}>All graphs</Link>
        </p>
      </Empty>
    </main>
  )
}
