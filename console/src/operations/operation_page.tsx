export function OperationPage(_: { id: string }) {
  return <main className="page">OperationPage</main>
}
