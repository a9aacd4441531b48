/** `npm run fuzz -- --seed N`, or `--seeds COUNT --from N`: runs plans, and shortens the first that fails. */

import { type Plan, planOf, shrink } from './plan.ts'
import { World } from './world.ts'

/** What came of these seeds: how many fail, by the rule that is broken. */
export function run(from: number, count: number, untilFailures: number): { seed: number; failure: string }[] {
  const failures: { seed: number; failure: string }[] = []
  for (let seed = from; seed < from + count && failures.length < untilFailures; seed++) {
    const failure = failureOf(planOf(seed))
    if (failure !== null) failures.push({ seed, failure })
  }
  return failures
}

/** A shorter plan that breaks the same rule, and why it fails. */
export function shortened(seed: number, trace?: (line: string) => void): string {
  const rule = (failure: string | null): string | undefined =>
    failure?.match(/^Error: ([^:]*):/)?.[1] ?? failure?.slice(0, 60)
  const first = failureOf(planOf(seed))
  const plan = shrink(planOf(seed), (plan) => rule(failureOf(plan)) === rule(first))
  const steps = plan.steps.map(
    ({ kind, client, a, b }) => `  { kind: '${kind}', client: ${client}, a: ${a}, b: ${b} },`,
  )
  return `${plan.clients} clients, ${plan.steps.length} steps:\n${steps.join('\n')}\n${failureOf(plan, trace)}`
}

/** Runs a plan; the reason why it fails, or `null`. */
export function failureOf(plan: Plan, trace?: (line: string) => void): string | null {
  try {
    new World(plan, trace).run(plan)
    return null
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error)
  }
}
