/** The licences of what is bundled: of each package that a module of the build comes from. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

const ALLOWED = new Set(['MIT', 'ISC', 'BSD-2-Clause', 'BSD-3-Clause', 'Apache-2.0', '0BSD', 'Unlicense'])
const FILE = /^(licen[cs]e|copying|notice)/i

/** `modules` are the paths of all modules of the build. */
export function thirdParty(modules) {
  const folders = new Set(modules.map(packageOf).filter((folder) => folder !== null))
  const packages = [...folders].map(read).sort((a, b) => (a.title < b.title ? -1 : 1))
  const bad = packages.filter(({ licence }) => !ALLOWED.has(licence))
  if (bad.length > 0)
    throw new Error(
      `Licences that are not allowed: ${bad.map(({ title, licence }) => `${title} ${licence}`).join(', ')}`,
    )
  const head = 'The console of dao-api (Apache-2.0) contains these packages.\n'
  return `${[head, ...packages.map(({ title, licence, text }) => `${title}\n${licence}\n\n${text.trim()}\n`)].join(`\n${'-'.repeat(80)}\n\n`)}`
}

function packageOf(module) {
  const path = module.replace(/^\0+/, '').split('?')[0]
  const at = path.lastIndexOf('/node_modules/')
  if (at === -1) return null
  const [scope, name] = path.slice(at + '/node_modules/'.length).split('/')
  return path.slice(0, at + '/node_modules/'.length) + (scope.startsWith('@') ? `${scope}/${name}` : scope)
}

function read(folder) {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const licence = typeof license === 'string' ? license.replace(/[()]/g, '') : (license?.type ?? 'UNKNOWN')
  const files = existsSync(folder)
    ? readdirSync(folder)
        .filter((file) => FILE.test(file))
        .sort()
    : []
  const text =
    files.map((file) => readFileSync(join(folder, file), 'utf8')).join('\n') || '(The package has no licence file.)'
  return { title: `${name} ${version}`, licence, text, folder: dirname(folder) }
}
