export function NotFoundPage() {
  return <main className="page">NotFoundPage</main>
}
