// Writes packages/*/api/*.api.md: what each entry exports, as declarations without their comments. A change of the public
// interface shows in it, and has to be meant. Needs the declarations of `npm run build`. With --check: fails if one differs.
//   node scripts/api.mjs [--check]
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Extractor, ExtractorConfig, ExtractorLogLevel } from '@microsoft/api-extractor'
import { entries, existing, packages } from './entries.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const check = process.argv.includes('--check')

for (const name of packages) {
  const folder = join(root, 'packages', name)
  const target = join(folder, 'api')
  const reports = new Map(
    Object.keys(existing(folder, entries[name])).map((entry) => [`${entry}.api.md`, report(folder, entry)]),
  )
  const had = existsSync(target) ? readdirSync(target) : []
  if (!check) {
    rmSync(target, { recursive: true, force: true })
    mkdirSync(target)
    for (const [file, text] of reports) writeFileSync(join(target, file), text)
    continue
  }
  const names = [...new Set([...reports.keys(), ...had])]
  const read = (file) => (had.includes(file) ? readFileSync(join(target, file), 'utf8') : undefined)
  const different = names.filter((file) => read(file) !== reports.get(file))
  if (different.length > 0) {
    console.error(
      `api: packages/${name}/api is not what the package exports: ${different.join(', ')}. Run \`npm run api\`, and look at the diff.`,
    )
    process.exitCode = 1
  }
}

/** What an entry exports, as text. */
function report(folder, entry) {
  const out = mkdtempSync(join(tmpdir(), 'dao-api-report-'))
  const silent = { default: { logLevel: ExtractorLogLevel.None, addToApiReportFile: false } }
  const config = ExtractorConfig.prepare({
    configObjectFullPath: undefined,
    packageJsonFullPath: join(folder, 'package.json'),
    configObject: {
      projectFolder: folder,
      mainEntryPointFilePath: join(folder, 'dist', `${entry}.d.ts`),
      newlineKind: 'lf',
      compiler: {
        overrideTsconfig: {
          compilerOptions: {
            target: 'es2022',
            module: 'esnext',
            moduleResolution: 'bundler',
            jsx: 'react-jsx',
            lib: ['es2023', 'dom', 'dom.iterable'],
            skipLibCheck: true,
            types: [],
            strict: true,
          },
          include: [join(folder, 'dist', '*.d.ts')],
        },
      },
      apiReport: { enabled: true, reportFolder: out, reportTempFolder: join(out, 'temp'), reportFileName: entry },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      messages: { compilerMessageReporting: silent, extractorMessageReporting: silent, tsdocMessageReporting: silent },
    },
  })
  Extractor.invoke(config, {
    localBuild: true,
    // What it says is in the report, or throws.
    messageCallback: (message) => {
      message.handled = true
    },
  })
  const text = readFileSync(join(out, `${entry}.api.md`), 'utf8')
  rmSync(out, { recursive: true })
  return text
}
