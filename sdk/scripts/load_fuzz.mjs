// Bundles the fuzz in memory, with or without changes of its sources, and loads it.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { rolldown } from 'rolldown'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** The functions of `tests/fuzz/main.ts`. `change(path, text)` gives another text for a source, or null. */
export async function loadFuzz(change = () => null) {
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
  await bundle.write({ file: join(folder, 'fuzz.mjs'), format: 'esm', sourcemap: 'inline' })
  await bundle.close()
  const loaded = await import(pathToFileURL(join(folder, 'fuzz.mjs')).href)
  rmSync(folder, { recursive: true })
  return loaded
}

export function option(name, fallback) {
  const at = process.argv.indexOf(`--${name}`)
  return at < 0 ? fallback : Number(process.argv[at + 1])
}
