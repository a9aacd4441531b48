// What a browser loads: minified, gzip -9, peers left out. Exit code 1 if a limit is exceeded.
//
// The goals are 12,000 bytes for the core and 20,000 with IndexedDB and React Flow. They are not reached; the limits keep
// what is there from growing, and go down with it (docs/decisions/0119).
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

/** `[what, source, limit in bytes or null, goal in bytes or null]` */
const bundles = [
  ['core', core, 26_500, 12_000],
  ['core + IndexedDB', `${core}\n${indexedDb}`, null, null],
  ['core + IndexedDB + React Flow', `${core}\n${indexedDb}\n${reactFlow}`, 40_500, 20_000],
  ...(existsSync(devtoolsPath) ? [['devtools (on their own)', devtools, null, null]] : []),
]

const folder = mkdtempSync(join(root, 'node_modules', '.sizes-'))
let exceeded = false
try {
  for (const [what, text, limit, goal] of bundles) {
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
    const isOver = limit !== null && bytes > limit
    exceeded ||= isOver
    const bounds = limit === null ? '' : `, limit ${limit}${isOver ? ' EXCEEDED' : ''}, goal ${goal}`
    console.log(`${what.padEnd(32)} ${String(bytes).padStart(7)} bytes${bounds} (${code.length} minified)`)
  }
} finally {
  rmSync(folder, { recursive: true })
}
process.exit(exceeded ? 1 : 0)
