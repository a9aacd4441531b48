/**
 * What tells of a success goes by itself, but not while somebody points at it or has the focus in it (WCAG 2.2.1). What it
 * tells is in the history, too. Failures stay until they are dismissed.
 */
export const GOES_MS = 8_000

/** `where` matches what holds all messages. Returns the way to stop. */
export function goesLater(where: string, go: () => void): () => void {
  let timer: ReturnType<typeof setTimeout>
  const wait = (): void => {
    timer = setTimeout(
      () => (document.querySelector(`${where}:is(:hover, :focus-within)`) === null ? go() : wait()),
      GOES_MS,
    )
  }
  wait()
  return () => clearTimeout(timer)
}
