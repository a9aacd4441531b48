// What a browser loads of our client and of others (docs/compare.md): minified, gzip -9, peers left out.
// Installs pinned versions into a folder of its own, and prints a table. Needs the registry; not part of the gate.
// Our goals and limits are in `sizes.mjs`.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { rolldown } from 'rolldown'

const packages = [
  '@hocuspocus/provider@4.8.0',
  '@liveblocks/client@3.24.2',
  '@liveblocks/react@3.24.2',
  '@rocicorp/zero@1.9.0',
  '@tldraw/store@5.4.2',
  '@tldraw/sync-core@5.4.2',
  'y-indexeddb@9.0.12',
  'y-protocols@1.0.7',
  'y-websocket@3.1.0',
  'yjs@13.6.33',
]
const peers = ['react', 'react-dom', '@xyflow/react']

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const source = (name, file) => JSON.stringify(join(root, 'packages', name, 'src', file))
const client = `export { createClient } from ${source('client', 'index.ts')}`
const indexedDb = `export { indexedDb } from ${source('client', 'indexeddb.ts')}`
const reactFlow = `export * from ${source('react-flow', 'index.ts')}`
const yjs = `export { Doc, Map, UndoManager } from 'yjs'`
const hocuspocus = `export { HocuspocusProvider } from '@hocuspocus/provider'`
const liveblocks = `export { createClient } from '@liveblocks/client'`

/** `[what, source]`: the least that follows and edits a document. */
const bundles = [
  ['@dao-api/client', [client]],
  ['@dao-api/client, /indexeddb', [client, indexedDb]],
  ['@dao-api/client, /indexeddb, react-flow', [client, indexedDb, reactFlow]],
  ['yjs', [yjs]],
  ['yjs, y-protocols', [yjs, `export * from 'y-protocols/awareness'`, `export * from 'y-protocols/sync'`]],
  ['yjs, @hocuspocus/provider', [yjs, hocuspocus]],
  ['yjs, @hocuspocus/provider, y-indexeddb', [yjs, hocuspocus, `export * from 'y-indexeddb'`]],
  ['yjs, y-websocket, y-indexeddb', [yjs, `export * from 'y-websocket'`, `export * from 'y-indexeddb'`]],
  ['@liveblocks/client', [liveblocks]],
  [
    '@liveblocks/client, @liveblocks/react',
    [
      `export { LiveblocksProvider, RoomProvider, useMutation, useOthers, useStorage, useUndo } from '@liveblocks/react'`,
    ],
  ],
  [
    '@tldraw/sync-core, @tldraw/store',
    [
      `export { ClientWebSocketAdapter, TLSyncClient } from '@tldraw/sync-core'`,
      `export { Store, StoreSchema } from '@tldraw/store'`,
    ],
  ],
  ['@rocicorp/zero', [`export { Zero } from '@rocicorp/zero'`]],
  [
    '@rocicorp/zero, /react',
    [`export { Zero } from '@rocicorp/zero'`, `export { ZeroProvider, useQuery, useZero } from '@rocicorp/zero/react'`],
  ],
]

const isPeer = (id) => peers.some((peer) => id === peer || id.startsWith(`${peer}/`))

async function bundled(entry, cwd) {
  const bundle = await rolldown({
    input: entry,
    cwd,
    platform: 'browser',
    // The entry stands for a part of an application, which has one file, and nobody imports that.
    preserveEntrySignatures: 'allow-extension',
    tsconfig: join(root, 'tsconfig.json'),
    external: isPeer,
    resolve: { alias: { '@dao-api/client': join(root, 'packages/client/src/index.ts') } },
    transform: { define: { 'process.env.NODE_ENV': '"production"' } },
    logLevel: 'silent',
  })
  const { output } = await bundle.generate({ format: 'esm', minify: true })
  await bundle.close()
  return output
}

const kB = (bytes) => (bytes / 1000).toFixed(1).padStart(8)

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'dao-compare-')))
try {
  writeFileSync(join(folder, 'package.json'), '{"private":true,"type":"module"}')
  const flags = ['--ignore-scripts', '--legacy-peer-deps', '--no-audit', '--no-fund', '--loglevel=error']
  execFileSync('npm', ['install', ...flags, ...packages], { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] })
  console.log(`${new Date().toISOString().slice(0, 10)}, Node ${process.version}, ${packages.join(' ')}`)
  console.log(`${'what'.padEnd(42)}  gzip kB  minified kB  of which loaded later (gzip kB)`)
  for (const [what, lines] of bundles) {
    const entry = join(folder, 'entry.js')
    writeFileSync(entry, lines.join('\n'))
    const chunks = (await bundled(entry, folder)).filter((chunk) => chunk.type === 'chunk')
    complain(what, chunks)
    const later = laterChunks(chunks)
    const minified = chunks.reduce((sum, chunk) => sum + Buffer.byteLength(chunk.code), 0)
    console.log(`${what.padEnd(42)} ${kB(zipped(chunks))} ${kB(minified)}     ${later.length ? kB(zipped(later)) : ''}`)
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}

function zipped(chunks) {
  return chunks.reduce((sum, chunk) => sum + gzipSync(chunk.code, { level: 9 }).length, 0)
}

/** Throws if a bundle leaves out more than the peers, for then its size means nothing. */
function complain(what, chunks) {
  const known = new Set(chunks.map((chunk) => chunk.fileName))
  const imports = chunks.flatMap((chunk) => [...chunk.imports, ...chunk.dynamicImports])
  const strays = imports.filter((id) => !isPeer(id) && !known.has(id))
  if (strays.length) throw new Error(`${what}: left out of the bundle: ${strays.join(', ')}`)
}

/** The chunks that no import statement reaches from the entry. */
function laterChunks(chunks) {
  const byName = new Map(chunks.map((chunk) => [chunk.fileName, chunk]))
  const now = new Set()
  const visit = (chunk) => {
    if (!chunk || now.has(chunk)) return
    now.add(chunk)
    for (const name of chunk.imports) visit(byName.get(name))
  }
  for (const chunk of chunks) if (chunk.isEntry) visit(chunk)
  return chunks.filter((chunk) => !now.has(chunk))
}
