// Builds each package: ES modules by rolldown, declarations by tsc. Nothing that is not ours goes into a bundle.
import { execFileSync } from 'node:child_process'
import { copyFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'
import { entries, existing, packages } from './entries.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

for (const name of packages) {
  const folder = join(root, 'packages', name)
  const input = existing(folder, entries[name])
  if (Object.keys(input).length === 0) continue
  rmSync(join(folder, 'dist'), { recursive: true, force: true })
  const bundle = await rolldown({
    input,
    external: (id) => !id.startsWith('.') && !id.startsWith('/'),
    platform: 'neutral',
    tsconfig: join(root, 'tsconfig.json'),
  })
  await bundle.write({ dir: join(folder, 'dist'), format: 'esm', sourcemap: true, chunkFileNames: 'shared-[hash].js' })
  await bundle.close()
  const config = join(folder, 'dist', 'tsconfig.build.json')
  writeFileSync(
    config,
    JSON.stringify({
      extends: '../../../tsconfig.json',
      compilerOptions: {
        noEmit: false,
        emitDeclarationOnly: true,
        rootDir: '../src',
        outDir: '.',
        types: [],
        paths: name === 'client' ? {} : { '@dao-api/client': ['../../client/dist/index.d.ts'] },
      },
      include: [],
      files: Object.values(input).map((path) => join('..', 'src', path.slice(join(folder, 'src').length + 1))),
    }),
  )
  execFileSync(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', config], {
    stdio: 'inherit',
  })
  rmSync(config)
  copyFileSync(join(root, '..', 'LICENSE'), join(folder, 'LICENSE'))
}
