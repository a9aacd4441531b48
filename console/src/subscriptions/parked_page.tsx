export function ParkedPage(_: { name: string }) {
  return <main className="page">ParkedPage</main>
}
