// Measures the core and prints a table: `npm run bench`, `make bench-sdk`.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, cpus, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { rolldown } from 'rolldown'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const folder = mkdtempSync(join(tmpdir(), 'sdk-bench-'))
const bundle = await rolldown({ input: join(root, 'packages/client/bench/core.ts'), platform: 'node' })
const file = join(folder, 'bench.mjs')
await bundle.write({ file, format: 'esm' })
await bundle.close()
const code = `import(${JSON.stringify(pathToFileURL(file).href)}).then(({ measure }) => console.log(JSON.stringify(measure())))`
const output = execFileSync(process.execPath, ['--expose-gc', '-e', code], { encoding: 'utf8' })
rmSync(folder, { recursive: true })

const shown = (value) => (value === null ? '' : value >= 100 ? value.toFixed(0) : value.toFixed(2))
console.log(
  `Node ${process.version}, ${availableParallelism()} × ${cpus()[0]?.model}, 10,000 nodes and 15,000 edges; CPU time\n`,
)
console.log('| what | SDK | target | Yjs 13.6 | |\n|---|---:|---:|---:|---|')
for (const { what, sdk, unit, target, yjs } of JSON.parse(output)) {
  console.log(`| ${what} | ${shown(sdk)} | ${target} | ${shown(yjs)} | ${unit} |`)
}
