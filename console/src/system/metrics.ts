/** What the system page reads from OpenMetrics text: values by name and labels. Pure. */

export interface Sample {
  name: string
  labels: Readonly<Record<string, string>>
  value: number
}

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g

export function parseMetrics(text: string): Sample[] {
  const samples: Sample[] = []
  for (const line of text.split('\n')) {
    const found = line.startsWith('#') ? null : LINE.exec(line)
    if (found === null) continue
    const labels: Record<string, string> = {}
    for (const [, name, value] of (found[2] ?? '').matchAll(LABEL)) labels[name!] = value!
    samples.push({ name: found[1]!, labels, value: Number(found[3]) })
  }
  return samples
}

/** The sum of all samples of a name that have these labels. */
export function total(samples: readonly Sample[], name: string, labels: Record<string, string> = {}): number {
  return samples
    .filter(
      (sample) => sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
    )
    .reduce((sum, { value }) => sum + value, 0)
}

/** A quantile of a histogram, interpolated within its bucket like Prometheus does. Null if nothing was observed. */
export function quantile(samples: readonly Sample[], name: string, q: number): number | null {
  const byBound = new Map<number, number>()
  for (const { name: of, labels, value } of samples) {
    if (of !== `${name}_bucket` || labels.le === undefined) continue
    const bound = labels.le === '+Inf' ? Number.POSITIVE_INFINITY : Number(labels.le)
    byBound.set(bound, (byBound.get(bound) ?? 0) + value)
  }
  const buckets = [...byBound].sort(([a], [b]) => a - b)
  const all = buckets.at(-1)?.[1] ?? 0
  if (all === 0) return null
  let below = 0
  let lower = 0
  for (const [bound, upTo] of buckets) {
    if (upTo >= q * all) {
      if (!Number.isFinite(bound)) return lower
      return lower + (bound - lower) * ((q * all - below) / (upTo - below))
    }
    below = upTo
    lower = bound
  }
  return lower
}
