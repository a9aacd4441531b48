/**
 * Builds dist/: the same bytes on each machine, in whatever folder.
 *
 *   index.html              is served for every address below /console/; `./assets/` in it is replaced by the server
 *   assets/*.js, *.css      without hashes in their names: the server puts them below a folder named by one
 *   assets/THIRD_PARTY.txt  the licences of what is bundled
 *   *.br                    each file as Brotli
 *
 * With --check it builds somewhere else, and fails if dist/ is not that. The Brotli files are compared as what they contain:
 * another Node may compress in another way.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { brotliCompressSync, brotliDecompressSync, constants } from 'node:zlib'
import { build } from 'vite'
import { thirdParty } from './third_party.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const committed = join(root, 'dist')
const checks = process.argv.includes('--check')
const dist = checks ? mkdtempSync(join(tmpdir(), 'dao-console-dist-')) : committed

function filesOf(folder) {
  return readdirSync(folder)
    .sort()
    .flatMap((name) => {
      const path = join(folder, name)
      return statSync(path).isDirectory() ? filesOf(path) : [path]
    })
}

const modules = new Set()
/** Names every module of the build, and stops a build that says where it was made. */
const watch = {
  name: 'console-modules',
  generateBundle(_, bundle) {
    for (const output of Object.values(bundle)) {
      if (output.type !== 'chunk') continue
      for (const id of output.moduleIds) modules.add(id)
      if (output.code.includes(root)) throw new Error(`${output.fileName} names the folder that it was built in`)
    }
  },
}

process.env.NODE_ENV = 'production'
rmSync(dist, { recursive: true, force: true })
await build({
  root,
  mode: 'production',
  logLevel: 'warn',
  plugins: [watch],
  build: { outDir: dist, emptyOutDir: true },
})

const page = readFileSync(join(dist, 'index.html'), 'utf8')
if (/<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=/i.test(page))
  throw new Error('index.html has something inline, which the policy of the server forbids')
if (!page.includes('"./assets/app.js"')) throw new Error('index.html does not name ./assets/app.js')

writeFileSync(join(dist, 'assets/THIRD_PARTY.txt'), thirdParty([...modules]))
for (const file of filesOf(dist)) {
  const bytes = readFileSync(file)
  const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length }
  writeFileSync(`${file}.br`, brotliCompressSync(bytes, { params }))
}

/** The names of all files of a folder with what they contain, and Brotli files with what is compressed in them. */
function contents(folder) {
  const content = (file) => {
    const bytes = readFileSync(file)
    return (file.endsWith('.br') ? brotliDecompressSync(bytes) : bytes).toString('latin1')
  }
  return new Map(filesOf(folder).map((file) => [relative(folder, file), content(file)]))
}

if (checks) {
  const [built, had] = [contents(dist), contents(committed)]
  rmSync(dist, { recursive: true })
  const names = [...new Set([...built.keys(), ...had.keys()])]
  const different = names.filter((name) => built.get(name) !== had.get(name))
  if (different.length > 0) {
    console.error(`console/dist is not what its source builds: ${different.join(', ')}. Run make console.`)
    process.exit(1)
  }
}
