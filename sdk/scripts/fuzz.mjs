// Runs the fuzz of the SDK's core against the model server: `npm run fuzz`, `npm run fuzz -- --seed 7`,
// `npm run fuzz -- --from 1 --seeds 10000`; with `--trace`, all that the machines of the shorter plan are told and say. A seed that fails is told with a shorter plan that fails as well.
import { loadFuzz, option } from './load_fuzz.mjs'

const { run, shortened } = await loadFuzz()
const one = option('seed', null)
if (one !== null) {
  const [failure] = run(one, 1, 1)
  console.log(
    failure === undefined
      ? `seed ${one}: all rules hold`
      : `seed ${one} fails\n${shortened(one, process.argv.includes('--trace') ? console.log : undefined)}`,
  )
  process.exit(failure === undefined ? 0 : 1)
}
const [from, seeds] = [option('from', 1), option('seeds', 10_000)]
const began = performance.now()
const failures = run(from, seeds, option('failures', 1))
const seconds = ((performance.now() - began) / 1000).toFixed(1)
for (const { seed, failure } of failures.slice(1)) console.log(`seed ${seed}: ${failure.split('\n')[0]}`)
const [first] = failures
if (first !== undefined) console.log(`seed ${first.seed} fails\n${shortened(first.seed)}`)
console.log(`seeds ${from} to ${from + seeds - 1}: ${failures.length} failed, ${seconds} s`)
process.exit(failures.length === 0 ? 0 : 1)
