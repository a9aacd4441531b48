// What a browser loads: minified, gzip -9, peers left out. Exit code 1 if a budget is exceeded.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { rolldown } from 'rolldown'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const source = (name) => join(root, 'packages', name, 'src')
const core = `export { createClient } from ${JSON.stringify(join(source('client'), 'index.ts'))}`
const indexedDb = `export { indexedDb } from ${JSON.stringify(join(source('client'), 'indexeddb.ts'))}`
const reactFlow = `export * from ${JSON.stringify(join(source('react-flow'), 'index.ts'))}`
const devtoolsPath = join(source('client'), 'devtools.ts')
const devtools = `export * from ${JSON.stringify(devtoolsPath)}`

/** `[what, source, budget in bytes or null]` */
const bundles = [
  ['core', core, 12_000],
  ['core + IndexedDB', `${core}\n${indexedDb}`, null],
  ['core + IndexedDB + React Flow', `${core}\n${indexedDb}\n${reactFlow}`, 20_000],
  ...(existsSync(devtoolsPath) ? [['devtools (on their own)', devtools, null]] : []),
]

const folder = mkdtempSync(join(root, '.sizes-'))
let exceeded = false
try {
  for (const [what, text, budget] of bundles) {
    const entry = join(folder, 'entry.ts')
    writeFileSync(entry, text)
    const bundle = await rolldown({
      input: entry,
      external: (id) => ['react', 'react-dom', 'react/jsx-runtime', '@xyflow/react'].includes(id),
      resolve: {
        alias: { '@dao-api/client': join(source('client'), 'index.ts') },
      },
      treeshake: true,
    })
    const { output } = await bundle.generate({ format: 'esm', minify: true })
    await bundle.close()
    const code = output.map((chunk) => (chunk.type === 'chunk' ? chunk.code : '')).join('')
    const bytes = gzipSync(code, { level: 9 }).length
    const over = budget !== null && bytes > budget
    exceeded ||= over
    const limit = budget === null ? '' : ` of ${budget}${over ? ' EXCEEDED' : ''}`
    console.log(`${what.padEnd(32)} ${String(bytes).padStart(7)} bytes${limit}   (${code.length} minified)`)
  }
} finally {
  rmSync(folder, { recursive: true })
}
process.exit(exceeded ? 1 : 0)
