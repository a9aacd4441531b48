// Packs each package as npm would publish it, and checks the result: publint, and the types of every entry.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { existing, packages } from './entries.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const folder = mkdtempSync(join(tmpdir(), 'dao-packages-'))
let wrong = 0
try {
  for (const name of packages) {
    const path = join(root, 'packages', name)
    if (Object.keys(existing(path, ['index'])).length === 0) continue
    const packed = execFileSync('npm', ['pack', '--json', '--silent', '--pack-destination', folder], {
      cwd: path,
      encoding: 'utf8',
    })
    const answer = JSON.parse(packed)
    const [{ filename, files, size }] = Array.isArray(answer) ? answer : Object.values(answer)
    const tarball = readFileSync(join(folder, filename))
    const manifest = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8'))
    const problems = []
    const { messages } = await publint({
      strict: true,
      pack: { tarball: tarball.buffer.slice(tarball.byteOffset, tarball.byteOffset + tarball.byteLength) },
    })
    for (const message of messages) problems.push(formatMessage(message, manifest))
    const types = await checkPackage(createPackageFromTarballData(new Uint8Array(tarball)))
    // The packages are ES modules only: what `require` in old Node would meet is no mistake of them.
    const expected = new Set(['CJSResolvesToESM', 'NoResolution'])
    for (const problem of types.problems ?? []) {
      const isOld = problem.resolutionKind === 'node10' || problem.resolutionKind === 'node16-cjs'
      if (!(expected.has(problem.kind) && isOld)) problems.push(JSON.stringify(problem))
    }
    if (!types.types) problems.push('there are no types')
    console.log(
      `${manifest.name} ${manifest.version}: ${files.length} files, ${size} bytes packed, ${problems.length} problems`,
    )
    for (const problem of problems) console.log(`  ${problem}`)
    wrong += problems.length
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
process.exit(wrong === 0 ? 0 : 1)
