/** The size of a value as JSON, counted until it is above `most`. */
export function sizeAtMost(value: unknown, most: number): number {
  if (typeof value === 'string') return value.length + 2
  if (value === null || typeof value !== 'object') return String(value).length
  let size = 2
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length && size <= most; i++) size += 1 + sizeAtMost(value[i], most - size)
    return size
  }
  for (const [key, child] of Object.entries(value)) {
    size += key.length + 4 + sizeAtMost(child, most - size)
    if (size > most) return size
  }
  return size
}
