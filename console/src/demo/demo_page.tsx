/** `/console/demo`: two people edit one graph. */
export default function DemoPage() {
  return <main className="page">The demo</main>
}
