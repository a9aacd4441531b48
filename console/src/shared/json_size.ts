/** The size of a value as JSON, counted until it is above `most`. */
export function sizeAtMost(value: unknown, most: number): number {
  if (typeof value === 'string') return value.length + 2
  if (value === null || typeof value !== 'object') return String(value).length
  let size = 2
  for (const [key, child] of Object.entries(value)) {
    size += (Array.isArray(value) ? 1 : key.length + 4) + sizeAtMost(child, most - size)
    if (size > most) return size
  }
  return size
}
