/** Counts renders by node in tests, which set `window.renders` before the page loads. Costs nothing otherwise. */
declare global {
  interface Window {
    renders?: Map<string, number>
  }
}

export function countRender(id: string): void {
  window.renders?.set(id, (window.renders.get(id) ?? 0) + 1)
}
