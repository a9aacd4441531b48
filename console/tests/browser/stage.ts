/** A real server with the console in it, and a browser that reports what it should not have done. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Browser, type BrowserContext, type Page, chromium as playwright } from 'playwright-core'
import { binary, chromium, shots } from './places.ts'
import { type Served, serve } from './serve.ts'

const ARGS = ['--no-sandbox', '--disable-dev-shm-usage']
const SECRET = 'a secret for tests that is long enough: 0123456789'
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

export async function until<T>(
  what: string,
  ask: () => Promise<T | false | undefined | null>,
  ms = 15_000,
): Promise<T> {
  const end = Date.now() + ms
  for (;;) {
    const answer = await ask().catch(() => undefined)
    if (answer) return answer
    if (Date.now() > end) throw new Error(`Not within ${ms} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

/** A token as an issuer signs it. `seconds` may be negative. */
export function token(user: string, graphs: Record<string, string>, seconds = 3600): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const exp = Math.floor(Date.now() / 1000) + seconds
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ sub: user, exp, graphs })}`
  return `${signed}.${createHmac('sha256', SECRET).update(signed).digest('base64url')}`
}

export interface StageOptions {
  /** With keys: tokens are needed. */
  keys?: boolean
  /** Makes the graph `example` with a history. */
  seed?: boolean
  /** `dao-api demo` in the place of a server. */
  demo?: boolean
  prefix?: string
  env?: Record<string, string>
}

export class Stage {
  readonly #data = mkdtempSync(join(tmpdir(), 'dao-console-'))
  readonly #options: StageOptions
  #server: ChildProcess | null = null
  #served: Served | null = null
  #browser: Browser | null = null
  port = 0

  constructor(options: StageOptions = {}) {
    this.#options = options
  }

  async open(): Promise<this> {
    this.port = await freePort()
    if (this.#options.seed === true)
      execFileSync(binary(), ['seed'], { env: { DATA_DIR: this.#data }, stdio: 'ignore' })
    await this.startServer()
    this.#served = await serve(() => this.port, this.#options.prefix)
    this.#browser = await playwright.launch({ executablePath: chromium, args: ARGS })
    return this
  }

  /** The server itself, without the proxy. */
  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  /** Where the console is, without a slash at its end. */
  get console(): string {
    return `${this.#served!.origin}/console`
  }

  async startServer(): Promise<void> {
    const keys = this.#options.keys === true ? { JWT_SECRET: SECRET } : {}
    const env = { PORT: String(this.port), DATA_DIR: this.#data, LOG_LEVEL: 'error', ...keys, ...this.#options.env }
    const [command, more] = this.#options.demo === true ? [['demo', '--no-open'], { TMPDIR: this.#data }] : [[], {}]
    this.#server = spawn(binary(), command, { env: { ...env, ...more }, stdio: 'ignore' })
    await until('the server is ready', async () => (await fetch(`${this.url}/readyz`)).ok)
  }

  /** The plug: no goodbye. */
  async killServer(): Promise<void> {
    const gone = once(this.#server!, 'exit')
    this.#server!.kill('SIGKILL')
    await gone
  }

  async close(): Promise<void> {
    await this.#browser?.close()
    await this.#served?.close()
    this.#server?.kill('SIGKILL')
    rmSync(this.#data, { recursive: true, force: true })
  }

  /** Asks the server itself. Throws what it refuses, unless `refused` is expected. */
  async ask(
    user: string,
    method: string,
    path: string,
    body?: object,
    refused = false,
  ): Promise<Record<string, unknown>> {
    const bearer = this.#options.keys === true ? { Authorization: `Bearer ${token(user, { '*': 'admin' })}` } : {}
    const answer = await fetch(`${this.url}${path}`, {
      method,
      headers: { 'Content-Type': 'application/json', 'X-User-Id': user, ...bearer },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    if (answer.ok === refused) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`)
    return answer.status === 204 ? {} : answer.json()
  }

  command(user: string, graph: string, type: string, payload: object, more: object = {}, refused = false) {
    return this.ask(user, 'POST', `/graphs/${graph}/command`, { type, payload, ...more }, refused)
  }

  /** Somebody with a browser of their own. `page.goto` goes to paths below `/console`. */
  async visitor(options: { theme?: 'light' | 'dark'; user?: string; reducedMotion?: boolean } = {}): Promise<Visitor> {
    const context = await this.#browser!.newContext({
      viewport: { width: 1280, height: 800 },
      colorScheme: options.theme ?? 'light',
      reducedMotion: options.reducedMotion === false ? 'no-preference' : 'reduce',
      timezoneId: 'UTC',
      locale: 'en-GB',
    })
    if (options.user !== undefined) {
      const script = `sessionStorage.setItem('dao-console-session', ${JSON.stringify(options.user)})`
      await context.addInitScript(script)
    }
    return new Visitor(this.console, context, await context.newPage())
  }
}

export class Visitor {
  /** Everything that a console must not do: errors, violations of the policy, requests to other origins. */
  readonly faults: string[] = []
  /** Requests that are not GET. */
  readonly writes: string[] = []

  constructor(
    readonly root: string,
    readonly context: BrowserContext,
    readonly page: Page,
  ) {
    const origin = new URL(root).origin
    page.on('pageerror', (error) => this.faults.push(`error: ${error}`))
    page.on('console', (message) => {
      const text = message.text()
      const expected = /Failed to load resource|WebSocket connection to/.test(text)
      if (message.type() === 'error' && !expected) this.faults.push(`console: ${text}`)
    })
    page.on('request', (asked) => {
      const url = new URL(asked.url())
      if (/^https?:|^wss?:/.test(asked.url()) && url.host !== new URL(origin).host)
        this.faults.push(`foreign: ${asked.url()}`)
      if (asked.method() !== 'GET') this.writes.push(`${asked.method()} ${url.pathname}`)
    })
    void page.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', (event) => {
        console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`)
      })
    })
  }

  async goto(path: string): Promise<this> {
    await this.page.goto(`${this.root}${path}`)
    return this
  }

  /** The ids of the rules that are broken, with the places. The script is run by the debugger, which no policy stops. */
  async axe(): Promise<string[]> {
    await this.page.evaluate(AXE)
    const result = await this.page.evaluate(async () => {
      const { axe } = globalThis as unknown as { axe: typeof import('axe-core') }
      const { violations } = await axe.run(document, {
        runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
      })
      return violations.flatMap((rule) =>
        rule.nodes.map((node) => `${rule.id}: ${node.target.join(' ')}: ${node.failureSummary}`),
      )
    })
    return result
  }

  async shot(name: string): Promise<void> {
    mkdirSync(shots, { recursive: true })
    await this.page.screenshot({ path: join(shots, `${name}.png`) })
  }

  close(): Promise<void> {
    return this.context.close()
  }
}
