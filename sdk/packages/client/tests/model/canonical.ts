/** JSON with sorted keys: two values are the same document if their texts are equal. */
export function canonical(value: unknown): string {
  return JSON.stringify(sorted(value)) ?? 'undefined'
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return Object.is(value, -0) ? 0 : value
  const entries = Object.keys(value)
    .sort()
    .map((key) => [key, sorted((value as { [key: string]: unknown })[key])])
  // As pairs: integer-like keys of an object would be put in another order.
  return { object: entries.filter(([, inner]) => inner !== undefined) }
}
