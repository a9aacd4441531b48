// What a browser loads of other clients, measured as `sizes.mjs` measures ours: minified, gzip -9, peers left out.
// Installs pinned versions into a folder of its own, and prints a table. Needs the registry; not part of the gate.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { rolldown } from 'rolldown'

const packages = [
  '@hocuspocus/provider@4.8.0',
  '@liveblocks/client@3.24.2',
  '@liveblocks/react@3.24.2',
  'y-indexeddb@9.0.12',
  'y-websocket@3.1.0',
  'yjs@13.6.33',
]

const bundles = [
  ['yjs', `export * from 'yjs'`],
  ['yjs + y-websocket + y-indexeddb', `export * from 'yjs'\nexport * from 'y-websocket'\nexport * from 'y-indexeddb'`],
  ['yjs + @hocuspocus/provider', `export * from 'yjs'\nexport * from '@hocuspocus/provider'`],
  ['@liveblocks/client: createClient', `export { createClient } from '@liveblocks/client'`],
  [
    '@liveblocks/client + react',
    `export { createClient } from '@liveblocks/client'\nexport { createRoomContext } from '@liveblocks/react'`,
  ],
]

const folder = mkdtempSync(join(tmpdir(), 'dao-compare-'))
try {
  writeFileSync(join(folder, 'package.json'), '{"private":true,"type":"module"}')
  const flags = ['--ignore-scripts', '--legacy-peer-deps', '--no-audit', '--no-fund', '--loglevel=error']
  execFileSync('npm', ['install', ...flags, ...packages], { cwd: folder, stdio: 'inherit' })
  for (const [what, text] of bundles) {
    const entry = join(folder, 'entry.js')
    writeFileSync(entry, text)
    const bundle = await rolldown({
      input: entry,
      cwd: folder,
      platform: 'browser',
      external: (id) => ['react', 'react-dom', 'react/jsx-runtime'].includes(id),
      logLevel: 'silent',
    })
    const { output } = await bundle.generate({ format: 'esm', minify: true })
    await bundle.close()
    const code = output.map((chunk) => (chunk.type === 'chunk' ? chunk.code : '')).join('')
    console.log(`${what.padEnd(36)} ${String(gzipSync(code, { level: 9 }).length).padStart(7)} bytes`)
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
