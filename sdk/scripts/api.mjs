// Writes packages/*/api.md: what each package exports, as declarations without their comments. A change of the public
// interface shows in it, and has to be meant. With --check: fails if a file differs.
//   node scripts/api.mjs [--check]
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'
import { dts } from 'rolldown-plugin-dts'
import { entries, existing, packages } from './entries.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const check = process.argv.includes('--check')

for (const name of packages) {
  const folder = join(root, 'packages', name)
  const text = await report(name, folder)
  const target = join(folder, 'api.md')
  if (!check) writeFileSync(target, text)
  else if (!existsSync(target) || readFileSync(target, 'utf8') !== text) {
    console.error(
      `api: packages/${name}/api.md is not what the package exports. Run \`npm run api\`, and look at the diff.`,
    )
    process.exitCode = 1
  }
}

async function report(name, folder) {
  const bundle = await rolldown({
    input: existing(folder, entries[name]),
    external: (id) => !id.startsWith('.') && !id.startsWith('/'),
    // Declarations are isolated: each file's can be told without the others, which needs no compiler.
    plugins: [dts({ dtsOnly: true, generator: 'oxc', tsconfig: false })],
    tsconfig: join(root, 'tsconfig.json'),
  })
  const { output } = await bundle.generate({
    format: 'esm',
    chunkFileNames: 'shared-[name].d.ts',
    minifyInternalExports: false,
  })
  await bundle.close()
  const files = output.filter(({ fileName }) => fileName.endsWith('.d.ts'))
  const order = ({ fileName, isEntry }) => `${isEntry ? (fileName === 'index.d.ts' ? 0 : 1) : 2}${fileName}`
  files.sort((a, b) => (order(a) < order(b) ? -1 : 1))
  const sections = files.map(({ fileName, isEntry, code }) => {
    const entry = fileName.slice(0, -'.d.ts'.length)
    const title = isEntry ? `@dao-api/${name}${entry === 'index' ? '' : `/${entry}`}` : fileName
    return `## ${title}\n\n\`\`\`ts\n${withoutComments(code).trim()}\n\`\`\`\n`
  })
  const head = `# What @dao-api/${name} exports\n\nWritten by \`npm run api\`; the gate checks that it is current.\n`
  return [head, ...sections].join('\n')
}

function withoutComments(code) {
  return code.replace(/^[ \t]*\/\*\*[\s\S]*?\*\/\n/gm, '').replace(/^\/\/#.*\n/gm, '')
}
