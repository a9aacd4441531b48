/** Numbers and names as people read them. */

const numbers = new Intl.NumberFormat('en')

/** 1,204 */
export const count = (value: number): string => numbers.format(value)

/** "1 node", "3 nodes" */
export const counted = (value: number, one: string, many = `${one}s`): string =>
  `${count(value)} ${value === 1 ? one : many}`

/** 32 KiB */
export function bytes(value: number): string {
  if (value < 1024) return `${value} B`
  const units = ['KiB', 'MiB', 'GiB', 'TiB']
  let rest = value / 1024
  let unit = 0
  while (rest >= 1024 && unit < units.length - 1) {
    rest /= 1024
    unit++
  }
  return `${rest < 10 ? rest.toFixed(1) : Math.round(rest)} ${units[unit]}`
}

/** The beginning of a hash or id, for where the whole does not fit. */
export const shortId = (text: string, length = 8): string =>
  text.length > length + 2 ? `${text.slice(0, length)}…` : text

/** `UPDATE_NODE` → "update node" */
export const commandWords = (type: string): string => type.toLowerCase().replaceAll('_', ' ')

/** A hue for a user, the same everywhere. */
export function hueOf(text: string): number {
  let hash = 2166136261
  for (const letter of text) hash = Math.imul(hash ^ letter.codePointAt(0)!, 16777619)
  return (hash >>> 0) % 360
}

/** A text of the server as a sentence: its details begin in lower case now and then. */
export function sentence(text: string): string {
  const begun = text.charAt(0).toUpperCase() + text.slice(1)
  return /[.!?…]$/.test(begun) ? begun : `${begun}.`
}
