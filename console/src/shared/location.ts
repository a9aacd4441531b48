/**
 * The path of the address for the router, as it is written: whoever reads a part of it decodes it, once. wouter decodes paths with
 * `decodeURI`, so a part that is decoded again is another one if it has a `%`. The base is taken off here and put on in
 * `hrefs` and `navigate`; the router itself has none.
 */
import { navigate as go, usePathname } from 'wouter/use-browser-location'
import { basePath } from './place.ts'

/** The path below the console, for a router that decodes it once. `~…` is outside of the console. */
export function pathBelow(base: string, pathname: string): string {
  const inside = pathname === base || pathname.startsWith(`${base}/`)
  const path = inside ? pathname.slice(base.length) || '/' : `~${pathname}`
  return path.replaceAll('%', '%25')
}

export const hrefs = (path: string): string => `${basePath}${path}`

const navigate: typeof go = (to, options) => go(typeof to === 'string' ? hrefs(to) : to, options)

/** For `<Router hook>`. */
export const useConsoleLocation = (): [string, typeof go] => [pathBelow(basePath, usePathname()), navigate]
