/** Every state of the console is an address (K1). These build and read them; all are relative to `/console`. */

/** One segment of a path. `@` and `:` stay readable. */
export const seg = (text: string): string => encodeURIComponent(text).replace(/%40/g, '@').replace(/%3A/g, ':')

export type Params = Readonly<Record<string, string | number | null | undefined>>

/** `?a=1&b=2` without empty values, or nothing. */
export function queryOf(params: Params = {}): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(params))
    if (value !== undefined && value !== null && value !== '') query.set(name, String(value))
  const text = query.toString().replace(/%2F/g, '/')
  return text === '' ? '' : `?${text}`
}

export interface GraphView {
  node?: string | null
  edge?: string | null
  /** A JSON Pointer: `/data/label`. */
  path?: string | null
  tab?: string | null
}

/** The part of a graph's address that chooses one of its nodes or edges. */
export const chosenView = (chosen: { kind: 'node' | 'edge'; id: string } | null): GraphView =>
  chosen === null ? {} : { [chosen.kind]: chosen.id }

export const graphsLink = (params?: Params): string => `/graphs${queryOf(params)}`

/** `at` is a version, a label or a time (L13); without it, the head. */
export function graphLink(id: string, at?: string | number | null, view: GraphView = {}): string {
  const where =
    at === undefined || at === null || at === 'head' ? '' : `@${encodeURIComponent(String(at)).replace(/%3A/g, ':')}`
  return `/graphs/${seg(id)}${where}${queryOf({ ...view })}`
}

export const compareLink = (id: string, from: string | number, to: string | number): string =>
  `/graphs/${seg(id)}/compare/${seg(String(from))}..${seg(String(to))}`

/**
 * Operation ids are unique within a graph only (C3), so the link names the graph if it is known. `version` is that of its commit,
 * or the one that a refusal was judged on: with it the operation is found in the history when the server has forgotten its id.
 */
export const operationLink = (operationId: string, graphId?: string | null, version?: number | null): string =>
  `/operations/${seg(operationId)}${queryOf({ graph: graphId, version })}`

export const operationsLink = (params?: Params): string => `/operations${queryOf(params)}`
export const subscriptionsLink = (): string => '/subscriptions'
export const subscriptionLink = (name: string): string => `/subscriptions/${seg(name)}`
export const parkedLink = (name: string): string => `/subscriptions/${seg(name)}/parked`
export const systemLink = (): string => '/system'

/** Reads one segment of a path: the way back from {@link seg}. What is not encoded right stays as it is. */
export const decode = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** Reads `{id}@{at}` as it stands in a path. Graph ids have no `@` (G3). */
export function parseGraphSegment(segment: string): { id: string; at: string | null } {
  const text = decode(segment)
  const cut = text.indexOf('@')
  if (cut === -1) return { id: text, at: null }
  return { id: text.slice(0, cut), at: text.slice(cut + 1) || null }
}

/** Reads `compare/{a}..{b}`; null if it is something else. Labels have no `..` at their ends (L12). */
export function parseCompare(sub: string | null): { from: string; to: string } | null {
  const range = sub === null ? null : /^compare\/(.+?)\.\.(.+)$/.exec(sub)
  return range === null ? null : { from: decode(range[1]!), to: decode(range[2]!) }
}
