import { expect, test } from 'vitest'
import { Chaos, type Killable } from './chaos.ts'
import { CuttingProxy } from './proxy.ts'
import { Redis } from './redis.ts'
import { Server } from './server.ts'

/** Seconds that the gate spends here. `CHAOS_SEED` runs one seed, `CHAOS_SECONDS` others for longer. */
const SECONDS = Number(process.env.CHAOS_SECONDS ?? 24)
const SEED = process.env.CHAOS_SEED

async function run(
  seeds: Iterable<number>,
  settings: Record<string, string>,
  others: readonly Killable[],
): Promise<Map<string, number>> {
  const server = new Server(settings)
  await server.start()
  const proxy = await CuttingProxy.to(() => server.port)
  const counts = new Map<string, number>()
  const count = (what: string, by = 1): unknown => counts.set(what, (counts.get(what) ?? 0) + by)
  try {
    for (const seed of seeds) {
      const chaos = new Chaos(seed, server, proxy)
      try {
        await chaos.run(2 + (seed % 2), 60, [server, ...others])
      } catch (error) {
        throw new Error(`seed ${seed} (CHAOS_SEED=${seed}): ${(error as Error).message}`, { cause: error })
      }
      count('seeds')
      count('faults', chaos.faults)
      count('operations', chaos.said.size)
      for (const [code] of chaos.said.values()) count(code as string)
    }
  } finally {
    await proxy.end()
    await server.end()
  }
  console.log('L2:', Object.fromEntries(counts))
  return counts
}

function* during(seconds: number, first: number): Generator<number> {
  if (SEED !== undefined) {
    yield Number(SEED)
    return
  }
  const end = Date.now() + seconds * 1000
  for (let seed = first; Date.now() < end; seed++) yield seed
}

test('M1 M2 M5 L2 whatever breaks between, all clients end where the server is', {
  timeout: (SECONDS + 60) * 1000,
}, async () => {
  const counts = await run(during(SECONDS, 1), {}, [])
  expect(counts.get('operations')).toBeGreaterThan(20)
})

test('M1 M2 L2 the same over Redis, which is killed too', { timeout: (SECONDS + 60) * 1000 }, async () => {
  const redis = new Redis()
  await redis.start()
  try {
    const counts = await run(during(SECONDS / 3, 1_001), { REDIS_URL: `redis://127.0.0.1:${redis.port}` }, [redis])
    expect(counts.get('operations')).toBeGreaterThan(20)
  } finally {
    await redis.end()
  }
})
