export function SubscriptionsPage(_: { name?: string }) {
  return <main className="page">SubscriptionsPage</main>
}
