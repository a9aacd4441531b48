// Runs the fuzz of the SDK's core against the model server: `npm run fuzz`, `npm run fuzz -- --seed 7`,
// `npm run fuzz -- --from 1 --seeds 10000`; with `--trace`, all that the machines of the shorter plan are told and say.
// A seed that fails is told with a shorter plan that fails as well.
import { bundleFuzz, option, runSeeds } from './load_fuzz.mjs'

const fuzz = await bundleFuzz()
const { shortened, run } = await fuzz.load()
const one = option('seed', null)
const from = one ?? option('from', 1)
const seeds = one === null ? option('seeds', 10_000) : 1
const began = performance.now()
const { failures } =
  one === null
    ? await runSeeds(fuzz, { from, seeds, untilFailures: option('failures', 1) })
    : { failures: run(one, 1, 1) }
const seconds = ((performance.now() - began) / 1000).toFixed(1)
for (const { seed, failure } of failures.slice(1)) console.log(`seed ${seed}: ${failure.split('\n')[0]}`)
const [first] = failures
if (first !== undefined) {
  console.log(
    `seed ${first.seed} fails\n${shortened(first.seed, process.argv.includes('--trace') ? console.log : undefined)}`,
  )
}
console.log(`seeds ${from} to ${from + seeds - 1}: ${failures.length} failed, ${seconds} s`)
fuzz.remove()
process.exit(failures.length === 0 ? 0 : 1)
