/**
 * What `dao-api demo` is to the page: a seeded server that can be killed, and the built console before it with the header that
 * the server sends. `DAO_API_BIN` is the program, `CONSOLE_DIST` another build than dist/.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, createServer as createTcp } from 'node:net'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const dist = process.env.CONSOLE_DIST ?? join(root, 'console/dist')
const TYPES: Record<string, string> = { '.js': 'text/javascript', '.css': 'text/css', '.txt': 'text/plain' }
const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
/** As long as `dao-api demo` leaves the server away. */
const AWAY_MS = 2_000

export function binary(): string {
  const built = ['release', 'debug'].map((profile) => join(root, 'target', profile, 'dao-api'))
  const found = [process.env.DAO_API_BIN, ...built].find((path) => path !== undefined && existsSync(path))
  if (found === undefined) throw new Error('No server to test with: run `cargo build`, or set DAO_API_BIN.')
  return found
}

export async function freePort(): Promise<number> {
  const server = createTcp().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

export async function until<T>(what: string, ask: () => Promise<T | false | null | undefined>, ms = 15_000): Promise<T> {
  const end = Date.now() + ms
  for (;;) {
    const answer = await ask().catch(() => undefined)
    if (answer) return answer
    if (Date.now() > end) throw new Error(`Not within ${ms} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 40))
  }
}

/** A server over a directory of its own, and a browser. */
export class RealServer {
  readonly data: string = mkdtempSync(join(tmpdir(), 'dao-console-'))
  port = 0
  kills = 0
  #process: ChildProcess | null = null

  async start(): Promise<void> {
    if (this.port === 0) this.port = await freePort()
    this.#process = spawn(binary(), [], { env: this.env(), stdio: 'ignore' })
    await until('the server is ready', async () => (await fetch(`${this.url}/readyz`)).ok)
  }

  env(): NodeJS.ProcessEnv {
    return { PATH: process.env.PATH, HOST: '127.0.0.1', PORT: String(this.port), DATA_DIR: this.data, LOG_LEVEL: 'error' }
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  seed(graph: string): void {
    execFileSync(binary(), ['seed', '--graph', graph], { env: this.env(), stdio: 'ignore' })
  }

  /** The plug: no goodbye. */
  async kill(): Promise<void> {
    if (this.#process === null) return
    const gone = once(this.#process, 'exit')
    this.#process.kill('SIGKILL')
    await gone
    this.#process = null
    this.kills++
  }

  async get<T>(path: string): Promise<T> {
    return (await (await fetch(`${this.url}/${path}`)).json()) as T
  }

  async close(): Promise<void> {
    await this.kill()
    rmSync(this.data, { recursive: true, force: true })
  }
}

export class DemoStage {
  readonly server = new RealServer()
  #web: Server | null = null
  #browser: Browser | null = null
  webPort = 0

  /** Without `isDemo` it is a server like any other: `/demo` is not found. */
  async open({ isDemo = true } = {}): Promise<void> {
    if (isDemo) this.server.seed('demo')
    await this.server.start()
    this.#web = createServer((asked, answer) => this.#serve(asked, answer, isDemo))
    this.#web.on('upgrade', (asked, socket, head) => {
      const up = connect(this.server.port, '127.0.0.1', () => {
        const lines = Object.entries(asked.headers).map(([name, value]) => `${name}: ${String(value)}`)
        up.write(`${asked.method} ${asked.url} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`)
        if (head.length > 0) up.write(head)
        up.pipe(socket).pipe(up)
      })
      up.on('error', () => socket.destroy())
      up.on('close', () => socket.destroy())
      socket.on('error', () => up.destroy())
      socket.on('close', () => up.destroy())
    })
    this.#web.listen(0, '127.0.0.1')
    await once(this.#web, 'listening')
    this.webPort = (this.#web.address() as AddressInfo).port
    const args = ['--no-sandbox', '--disable-dev-shm-usage']
    this.#browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args })
  }

  #serve(asked: IncomingMessage, answer: ServerResponse, isDemo: boolean): void {
    const path = new URL(asked.url ?? '/', 'http://localhost').pathname
    if (path.startsWith('/console/assets/')) return this.#asset(path, answer)
    if (path === '/console' || path.startsWith('/console/')) {
      const page = readFileSync(join(dist, 'index.html'), 'utf8').replaceAll('./assets/', '/console/assets/t/')
      answer.writeHead(200, { 'Content-Type': 'text/html', 'Content-Security-Policy': CSP }).end(page)
      return
    }
    if (isDemo && path === '/demo') return json(answer, this.server.kills >= 0 && this.#isUp ? 200 : 502, { graphId: 'demo' })
    if (isDemo && path === '/demo/kill' && asked.method === 'POST') {
      json(answer, 202, {})
      void this.#killAndStart()
      return
    }
    const { method, headers } = asked
    const up = request({ host: '127.0.0.1', port: this.server.port, path: asked.url, method, headers }, (answered) => {
      answer.writeHead(answered.statusCode ?? 502, answered.headers)
      answered.pipe(answer)
    })
    up.on('error', () => answer.destroy())
    asked.pipe(up)
  }

  #isUp = true

  async #killAndStart(): Promise<void> {
    this.#isUp = false
    await this.server.kill()
    await new Promise((resolve) => setTimeout(resolve, AWAY_MS))
    await this.server.start()
    this.#isUp = true
  }

  #asset(path: string, answer: ServerResponse): void {
    const file = join(dist, 'assets', path.split('/').pop()!)
    if (!existsSync(file)) return void answer.writeHead(404).end()
    answer.writeHead(200, { 'Content-Type': TYPES[extname(file)] ?? 'application/octet-stream' }).end(readFileSync(file))
  }

  async page(options: BrowserContextOptions = {}): Promise<{ page: Page; faults: string[] }> {
    const context = await this.#browser!.newContext({ viewport: { width: 1280, height: 800 }, ...options })
    const page = await context.newPage()
    const faults: string[] = []
    page.on('pageerror', (error) => faults.push(String(error)))
    page.on('console', (message) => {
      if (/Content.Security.Policy/i.test(message.text())) faults.push(message.text())
    })
    page.on('request', (asked) => {
      if (!asked.url().includes(`127.0.0.1:${this.webPort}/`) && !asked.url().startsWith('data:')) faults.push(asked.url())
    })
    return { page, faults }
  }

  get origin(): string {
    return `http://127.0.0.1:${this.webPort}`
  }

  async close(): Promise<void> {
    await this.#browser?.close()
    this.#web?.closeAllConnections()
    this.#web?.close()
    await this.server.close()
  }
}

function json(answer: ServerResponse, status: number, body: unknown): void {
  answer.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body))
}
