/** The page of one graph. */
export interface GraphPageProps {
  id: string
  /** A version, label or time (L13); null is the head. */
  at: string | null
  /** What follows in the path, like `compare/3..5`; see `parseCompare` in shared/links.ts. */
  sub: string | null
}

export default function GraphPage({ id, at, sub }: GraphPageProps) {
  return (
    <main className="page">
      <h1>
        {id} {at ?? 'head'} {sub}
      </h1>
    </main>
  )
}
