/** examples/analyst: reads a seeded server into DuckDB, goes on where it stopped, and counts right. Needs Python with venv. */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { root } from './places.ts'
import { Stage } from './stage.ts'

const example = join(root, 'examples/analyst')
const folder = mkdtempSync(join(tmpdir(), 'dao-analyst-'))
const python = join(folder, 'python/bin/python')
const stage = new Stage({ seed: true })

/** Commits of one request. */
const REQUEST = 1_000
const LARGE = 12_000

beforeAll(async () => {
  const run = (program: string, ...args: string[]): Buffer =>
    execFileSync(program, args, { stdio: ['ignore', 'ignore', 'inherit'] })
  run('python3', '-m', 'venv', join(folder, 'python'))
  run(python, '-m', 'pip', 'install', '--quiet', '-r', join(example, 'requirements.txt'))
  await stage.open()
}, 120_000)

afterAll(async () => {
  await stage.close()
  rmSync(folder, { recursive: true, force: true })
})

const env = (url: string = stage.url): NodeJS.ProcessEnv => ({ ...process.env, DAO_URL: url })

async function analyse(file: string, url?: string): Promise<string> {
  const { stdout } = await promisify(execFile)(python, [join(example, 'analyst.py'), file], { env: env(url) })
  return stdout
}

/** Rows of the table below a question, as lists of cells. */
function rows(output: string, question: string): string[][] {
  const table = output.slice(output.indexOf(question)).split('\n\n')[0]!.split('\n')
  const cells = table.filter((line) => line.startsWith('│')).map((line) => line.split('│').slice(1, -1))
  // Names and types of the columns stand above.
  return cells.slice(2).map((row) => row.map((cell) => cell.trim()))
}

interface Listed {
  userId: string
  status: string
  commandType: string
}

async function listed(): Promise<Listed[]> {
  return (await stage.ask('test', 'GET', '/graphs/example/operations?limit=1000')).operations as Listed[]
}

function counts(of: readonly string[]): Record<string, number> {
  const found: Record<string, number> = {}
  for (const one of of) found[one] = (found[one] ?? 0) + 1
  return found
}

const byFirst = (table: readonly string[][]): Record<string, number> =>
  Object.fromEntries(table.map(([name, number]) => [name, Number(number)]))

test('three answers agree with what the server lists', async () => {
  const output = await analyse(join(folder, 'three.duckdb'))
  const all = await listed()
  const commits = all.filter(({ status }) => status === 'completed')
  expect(output).toContain(`New commits: ${commits.length}. In all: ${commits.length}.`)
  expect(byFirst(rows(output, 'Who wrote most'))).toEqual(counts(commits.map(({ userId }) => userId)))
  expect(byFirst(rows(output, 'Which graphs'))).toEqual({ example: commits.length })
  const conflicts = all.filter(({ status }) => status === 'conflict').map(({ commandType }) => commandType)
  expect(conflicts.length).toBeGreaterThan(0)
  expect(byFirst(rows(output, 'How many conflicts'))).toEqual(counts(conflicts))
})

test('a second run reads only what is new', async () => {
  const file = join(folder, 'second.duckdb')
  await analyse(file)
  await stage.command('dora', 'other', 'CREATE_NODE', { id: 'a' })
  const output = await analyse(file)
  expect(output).toContain('New commits: 1.')
  expect(rows(output, 'Which graphs')).toContainEqual(['other', '1', '1', expect.any(String)])
  expect(await analyse(file)).toContain('New commits: 0.')
})

async function makeLarge(): Promise<void> {
  for (let begun = 0; begun < LARGE; begun += REQUEST) {
    const operations = Array.from({ length: REQUEST }, (_, i) => ({
      type: 'CREATE_NODE',
      payload: { id: `n${begun + i}` },
    }))
    await stage.ask('robot', 'POST', '/graphs/large/batch', { operations })
  }
}

/** Passes lines on, and breaks the connection in the middle of one. */
async function cutting(after: number): Promise<{ url: string; close(): void }> {
  const server = createServer((asked, answer) => {
    void fetch(`${stage.url}${asked.url}`, { headers: { Accept: String(asked.headers.accept) } }).then(async (from) => {
      const lines = (await from.text()).split('\n')
      const sent = `${lines.slice(0, after).join('\n')}\n${lines[after]!.slice(0, 20)}`
      answer.writeHead(200, { 'Content-Type': 'application/x-ndjson' })
      answer.write(sent, () => answer.destroy())
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => server.close() }
}

test('cut off or killed in the middle, it goes on, and counts each commit once', async () => {
  await makeLarge()
  const file = join(folder, 'killed.duckdb')
  const proxy = await cutting(6_500)
  await expect(analyse(file, proxy.url)).rejects.toThrow('Command failed')
  proxy.close()
  for (const ms of [300, 600]) {
    const run: ChildProcess = spawn(python, [join(example, 'analyst.py'), file], { env: env(), stdio: 'ignore' })
    const ended = once(run, 'exit')
    const timer = setTimeout(() => run.kill('SIGKILL'), ms)
    await ended
    clearTimeout(timer)
  }
  const output = await analyse(file)
  const [, added, whole] = /New commits: (\d+)\. In all: (\d+)\./.exec(output)!
  // One batch was whole before the break, and is not read again.
  expect(Number(added)).toBeLessThanOrEqual(Number(whole) - 5_000)
  expect(rows(output, 'Which graphs')[0]).toEqual(['large', String(LARGE), '1', expect.any(String)])
}, 120_000)
