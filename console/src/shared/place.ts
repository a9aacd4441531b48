/** Where the console and the server's API are. Both follow from the address of this script, so any prefix of a proxy works. */

/** The address up to and including `/console/`. */
export function consoleRootOf(script: string): string {
  const at = script.lastIndexOf('/console/assets/')
  if (at === -1) throw new Error(`The console is not served below /console/: ${script}`)
  return script.slice(0, at + '/console/'.length)
}

function here(): string {
  if (typeof location === 'undefined') return 'http://localhost/console/'
  return import.meta.env.PROD ? consoleRootOf(import.meta.url) : new URL(import.meta.env.BASE_URL, location.origin).href
}

/** Ends with `/console/`. */
export const consoleRoot: string = here()
/** Where `graphs`, `whoami`, `ws` … are. Ends with `/`. */
export const apiRoot: string = new URL('..', consoleRoot).href
/** The path of the console without its last slash: the base of the router. */
export const basePath: string = new URL(consoleRoot).pathname.replace(/\/$/, '')
