// What a browser loads: minified, gzip -9, peers left out. Exit code 1 if a limit is exceeded.
// With --modules: also what each module of the largest bundle is on its own, which is more than it adds to the whole.
//
// What is loaded at first counts; what `import()` loads later is listed by itself, and has a limit, too. The goals are
// 12,000 bytes for the core and 20,000 with IndexedDB and React Flow. They are not reached; the limits keep what is there
// from growing, and go down with it (docs/decisions/0119, 0125).
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { rolldown } from 'rolldown'
import { minifySync } from 'rolldown/utils'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const source = (name) => join(root, 'packages', name, 'src')
const core = `export { createClient } from ${JSON.stringify(join(source('client'), 'index.ts'))}`
const indexedDb = `export { indexedDb } from ${JSON.stringify(join(source('client'), 'indexeddb.ts'))}`
const reactFlow = `export * from ${JSON.stringify(join(source('react-flow'), 'index.ts'))}`
const devtoolsPath = join(source('client'), 'devtools.ts')
const devtools = `export * from ${JSON.stringify(devtoolsPath)}`

/** `[what, source, limit in bytes or null, goal in bytes or null, limit of what is loaded later or null]` */
const bundles = [
  ['core', core, 23_800, 12_000, 3_500],
  ['core + IndexedDB', `${core}\n${indexedDb}`, null, null, null],
  ['core + IndexedDB + React Flow', `${core}\n${indexedDb}\n${reactFlow}`, 38_300, 20_000, null],
  ...(existsSync(devtoolsPath) ? [['devtools (on their own)', devtools, null, null, null]] : []),
]

let exceeded = false
function tell(what, codes, limit, goal) {
  const bytes = codes.reduce((sum, code) => sum + gzipSync(code, { level: 9 }).length, 0)
  const minified = codes.reduce((sum, code) => sum + code.length, 0)
  const isOver = limit !== null && bytes > limit
  exceeded ||= isOver
  const bounds = limit === null ? '' : `, limit ${limit}${isOver ? ' EXCEEDED' : ''}`
  const aim = goal === null ? '' : `, goal ${goal}`
  console.log(`${what.padEnd(32)} ${String(bytes).padStart(7)} bytes${bounds}${aim} (${minified} minified)`)
}

function tellModules(chunks) {
  const modules = chunks.flatMap((chunk) => Object.entries(chunk.modules))
  const rows = modules.map(([id, { code }]) => {
    const { code: minified } = minifySync(id, code ?? '', { module: true, compress: false, mangle: { toplevel: true } })
    return [
      relative(join(root, 'packages'), id).replace('/src/', '/'),
      minified.length,
      gzipSync(minified, { level: 9 }).length,
    ]
  })
  rows.sort((a, b) => b[2] - a[2])
  for (const [name, minified, bytes] of rows)
    console.log(`  ${name.padEnd(40)} ${String(bytes).padStart(6)} bytes (${minified} minified)`)
}

const folder = mkdtempSync(join(root, 'node_modules', '.sizes-'))
try {
  for (const [what, text, limit, goal, laterLimit] of bundles) {
    const entry = join(folder, 'entry.ts')
    writeFileSync(entry, text)
    const bundle = await rolldown({
      input: entry,
      external: (id) => ['react', 'react-dom', 'react/jsx-runtime', '@xyflow/react'].includes(id),
      resolve: {
        alias: { '@dao-api/client': join(source('client'), 'index.ts') },
      },
      treeshake: true,
      // The entry stands for a part of an application, which has one file, and nobody imports that.
      preserveEntrySignatures: 'allow-extension',
      tsconfig: join(root, 'tsconfig.json'),
    })
    const { output } = await bundle.generate({ format: 'esm', minify: true })
    await bundle.close()
    const chunks = new Map(output.flatMap((chunk) => (chunk.type === 'chunk' ? [[chunk.fileName, chunk]] : [])))
    // With the entry comes all that it imports, whatever that imports, and so on.
    const first = new Set([...chunks.values()].filter((chunk) => chunk.isEntry).map((chunk) => chunk.fileName))
    for (const name of first) for (const imported of chunks.get(name)?.imports ?? []) first.add(imported)
    const codes = (isFirst) =>
      [...chunks.values()].filter(({ fileName }) => first.has(fileName) === isFirst).map((chunk) => chunk.code)
    tell(what, codes(true), limit, goal)
    if (laterLimit !== null) tell('  later, for undo', codes(false), laterLimit, null)
    if (process.argv.includes('--modules') && text.includes(reactFlow)) tellModules([...chunks.values()])
  }
} finally {
  rmSync(folder, { recursive: true })
}
process.exit(exceeded ? 1 : 0)
