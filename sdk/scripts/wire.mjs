// Writes packages/client/src/wire.ts from the server's OpenAPI document. With --check: fails if it differs.
//   node scripts/wire.mjs [--check] [path of the server's binary]
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const target = join(root, 'packages', 'client', 'src', 'wire.ts')
const check = process.argv.includes('--check')
const named = process.argv.slice(2).find((argument) => !argument.startsWith('-')) ?? process.env.DAO_BINARY
const binary = named ?? ['debug', 'release'].map((kind) => join(root, '..', 'target', kind, 'dao-api')).find(existsSync)
if (!binary) {
  console.error('wire: there is no server binary. Run `cargo build`, or name one.')
  process.exit(2)
}

const folder = mkdtempSync(join(tmpdir(), 'dao-wire-'))
const server = spawn(binary, [], {
  env: { ...process.env, PORT: '0', DATA_DIR: join(folder, 'data'), LOG_FORMAT: 'text', LOG_LEVEL: 'info' },
  stdio: ['ignore', 'pipe', 'pipe'],
})
try {
  const origin = await listening(server)
  const document = await (await fetch(`${origin}/openapi.json`)).json()
  const path = join(folder, 'openapi.json')
  writeFileSync(path, JSON.stringify(document))
  const generator = join(root, 'tools', 'wire', 'node_modules', 'openapi-typescript', 'bin', 'cli.js')
  const text = execFileSync(process.execPath, [generator, path, '--export-type', '--alphabetize'], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  if (!check) writeFileSync(target, text)
  else if (!existsSync(target) || readFileSync(target, 'utf8') !== text) {
    console.error('wire: packages/client/src/wire.ts is not what the server describes. Run `npm run wire`.')
    process.exitCode = 1
  }
} finally {
  // The server writes into the folder until it has ended.
  server.kill()
  if (server.exitCode === null && server.signalCode === null)
    await new Promise((resolve) => server.once('exit', resolve))
  rmSync(folder, { recursive: true, force: true })
}

/** The origin that the server says it listens on. */
function listening(server) {
  return new Promise((resolve, reject) => {
    let log = ''
    const read = (chunk) => {
      log += chunk
      const found = /http:\/\/(127\.0\.0\.1:\d+)/.exec(log)
      if (found) resolve(`http://${found[1]}`)
    }
    server.stdout.on('data', read)
    server.stderr.on('data', read)
    server.on('exit', () => reject(new Error(`the server ended:\n${log}`)))
  })
}
