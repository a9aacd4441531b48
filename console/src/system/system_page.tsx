export function SystemPage() {
  return <main className="page">SystemPage</main>
}
