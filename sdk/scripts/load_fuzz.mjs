// Bundles the fuzz, with or without changes of its sources, and runs seeds of it in worker threads.
import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'
import { rolldown } from 'rolldown'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
/** Seeds that a worker runs before it takes more. */
const CHUNK = 100

/** The fuzz as one file; `remove` takes it away. `change(path, text)` gives another text for a source, or null. */
export async function bundleFuzz(change = () => null) {
  const folder = mkdtempSync(join(tmpdir(), 'sdk-fuzz-'))
  const bundle = await rolldown({
    input: join(root, 'packages/client/tests/fuzz/main.ts'),
    platform: 'node',
    plugins: [
      {
        name: 'change',
        transform(text, path) {
          const code = change(path.slice(root.length + 1), text)
          return code === null ? null : { code, map: null }
        },
      },
    ],
  })
  const file = join(folder, 'fuzz.mjs')
  await bundle.write({ file, format: 'esm', sourcemap: 'inline' })
  await bundle.close()
  return { file, load: () => import(pathToFileURL(file).href), remove: () => rmSync(folder, { recursive: true }) }
}

/** The seeds that fail, with the reasons, the lowest first. Ends early when there are `untilFailures`. */
export async function runSeeds(
  { file },
  { from, seeds, untilFailures, jobs = option('jobs', Math.min(2, availableParallelism())) },
) {
  const failures = []
  let next = from
  let ran = 0
  const code = `
    const { parentPort, workerData } = require('node:worker_threads')
    import(workerData).then(({ run }) => {
      parentPort.on('message', ({ from, count, untilFailures }) => parentPort.postMessage(run(from, count, untilFailures)))
      parentPort.postMessage([])
    })`
  const work = () =>
    new Promise((resolve, reject) => {
      const worker = new Worker(code, {
        eval: true,
        workerData: pathToFileURL(file).href,
        execArgv: ['--enable-source-maps'],
      })
      worker.on('error', reject)
      worker.on('message', (found) => {
        failures.push(...found)
        if (next >= from + seeds || failures.length >= untilFailures) {
          worker.terminate().then(resolve, reject)
          return
        }
        const count = Math.min(CHUNK, from + seeds - next)
        worker.postMessage({ from: next, count, untilFailures: untilFailures - failures.length })
        next += count
        ran += count
      })
    })
  await Promise.all(Array.from({ length: jobs }, work))
  return { failures: failures.sort((a, b) => a.seed - b.seed), ran }
}

export function option(name, fallback) {
  const at = process.argv.indexOf(`--${name}`)
  return at < 0 ? fallback : Number(process.argv[at + 1])
}
