/** Prints what a browser loads, as gzip -9, and fails above the bounds. Run after build.mjs. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

const dist = fileURLToPath(new URL('../dist', import.meta.url))
const assets = join(dist, 'assets')
const kB = (bytes) => `${(bytes / 1000).toFixed(1)} kB`
const gzip = (path) => gzipSync(readFileSync(path), { level: 9 }).length

/**
 * The plan was 220 kB with an SDK of 20 kB. The SDK has 40 kB, React 62 and React Flow 62: 164 kB that are not the console's.
 * The demo page is not counted: nobody loads it with the console.
 */
const ALL = 261_000
const LIST = 110_000

const files = readdirSync(assets).filter((name) => /\.(js|css)$/.test(name))
const size = new Map(files.map((name) => [name, gzip(join(assets, name))]))

/** What index.html names, and what those files import. Dynamic imports are not followed. */
function loadedByList() {
  const page = readFileSync(join(dist, 'index.html'), 'utf8')
  const loaded = new Set([...page.matchAll(/\.\/assets\/([\w.-]+)"/g)].map(([, name]) => name))
  for (const name of loaded) {
    if (!name.endsWith('.js')) continue
    const code = readFileSync(join(assets, name), 'utf8')
    for (const [, other] of code.matchAll(/(?:from|import)\s*["']\.\/([\w.-]+)["']/g)) loaded.add(other)
  }
  return [...loaded].filter((name) => size.has(name))
}

const sum = (names) => names.reduce((total, name) => total + size.get(name), 0)
const list = loadedByList()
const console_ = files.filter((name) => !/^demo/.test(name))

for (const [name, bytes] of [...size].sort(([, a], [, b]) => b - a))
  console.log(`${kB(bytes).padStart(10)}  ${name}${list.includes(name) ? '  (list)' : ''}`)
console.log(`${kB(sum(list)).padStart(10)}  the list of graphs loads, at most ${kB(LIST)}`)
console.log(`${kB(sum(console_)).padStart(10)}  all of the console, at most ${kB(ALL)}`)
if (sum(list) > LIST || sum(console_) > ALL) {
  console.error('The console is larger than it may be.')
  process.exit(1)
}
