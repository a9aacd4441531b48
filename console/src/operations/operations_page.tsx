export function OperationsPage() {
  return <main className="page">OperationsPage</main>
}
