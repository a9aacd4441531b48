// Plants one mistake at a time in the SDK's core and counts the seeds of the fuzz that find it: `npm run mutants`.
// Fails if one is not found, or does not apply any more. `--seeds` is how many are tried for each (default 1,000), `--most`
// how many until one is found;
// `--only A4` runs those of one rule, `--skip 10` all but the first ten.
import { bundleFuzz, option, runSeeds } from './load_fuzz.mjs'
import { MUTANTS } from './mutant_list.mjs'

const SEEDS_MAX = option('most', 10_000)
const seeds = option('seeds', 1_000)
const onlyAt = process.argv.indexOf('--only')
const only = onlyAt < 0 ? null : process.argv[onlyAt + 1]
const isWanted = ({ rule }, at) => at >= option('skip', 0) && (only === null || rule === only)
let missed = 0
console.log(`| rule | mistake | found by, of ${seeds} seeds | first | by the check of |`)
console.log('|---|---|---:|---:|---|')
for (const { rule, mistake, file, from, to } of MUTANTS.filter(isWanted)) {
  let count = 0
  const fuzz = await bundleFuzz((path, text) => {
    if (!path.endsWith(file)) return null
    count = text.split(from).length - 1
    return count === 1 ? text.replace(from, () => to) : null
  })
  if (count !== 1) {
    missed += 1
    console.log(`| ${rule} | ${mistake} | the place in ${file} occurs ${count} times | | |`)
    fuzz.remove()
    continue
  }
  const found = await runSeeds(fuzz, { from: 1, seeds, untilFailures: Number.POSITIVE_INFINITY })
  const more = found.failures.length > 0 ? found : await runSeeds(fuzz, { from: 1, seeds: SEEDS_MAX, untilFailures: 1 })
  const [first] = more.failures
  const rules = [
    ...new Set(more.failures.map(({ failure }) => failure.match(/^Error: ([^:]{1,12}):/)?.[1] ?? 'a throw')),
  ]
  if (first === undefined) missed += 1
  const shown = first === undefined ? `**missed** of ${SEEDS_MAX}` : found.failures.length
  console.log(`| ${rule} | ${mistake} | ${shown} | ${first?.seed ?? ''} | ${rules.join(', ')} |`)
  fuzz.remove()
}
process.exit(missed === 0 ? 0 : 1)
