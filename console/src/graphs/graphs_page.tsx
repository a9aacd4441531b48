export function GraphsPage() {
  return <main className="page">GraphsPage</main>
}
