/** A server that can be killed, the built example in front of it, and people in browsers. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Browser, type BrowserContext, type Locator, type Page, chromium as playwright } from 'playwright-core'
import { binary, chromium, example } from './places.ts'

const SIZE = { width: 1100, height: 760 }
const ARGS = ['--no-sandbox', '--disable-dev-shm-usage']

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

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

export interface Operation {
  operationId: string
  userId: string
  clientId: string
  commandType: string
  status: string
  outcome: string | null
  version: number
  events: { type: string; nodeId?: string; position?: { x: number; y: number } }[]
}

export class Stage {
  readonly #data = mkdtempSync(join(tmpdir(), 'dao-flow-'))
  readonly #folders = [this.#data]
  #server: ChildProcess | null = null
  #page: ChildProcess | null = null
  #browser: Browser | null = null
  port = 0
  pagePort = 0

  async open(): Promise<void> {
    this.port = await freePort()
    this.pagePort = await freePort()
    const env = { ...process.env, DAO_URL: this.url }
    const args = ['node_modules/vite/bin/vite.js', 'preview', '--host', '127.0.0.1', '--port', String(this.pagePort)]
    this.#page = spawn(process.execPath, args, { cwd: example, env, stdio: 'ignore' })
    await this.startServer()
    await until('the page is served', async () => (await fetch(`http://127.0.0.1:${this.pagePort}/`)).ok)
    this.#browser = await playwright.launch({ executablePath: chromium, args: ARGS })
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  async startServer(): Promise<void> {
    const env = { PATH: process.env.PATH, PORT: String(this.port), DATA_DIR: this.#data, LOG_LEVEL: 'error' }
    this.#server = spawn(binary(), [], { env, stdio: 'ignore' })
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
    this.#page?.kill()
    this.#server?.kill('SIGKILL')
    for (const folder of this.#folders) rmSync(folder, { recursive: true, force: true })
  }

  address(graph: string, user: string): string {
    return `http://127.0.0.1:${this.pagePort}/?graph=${graph}&user=${user}`
  }

  /** Somebody with a browser of their own. */
  async person(graph: string, user: string): Promise<Person> {
    const context = await this.#browser!.newContext({
      viewport: SIZE,
      permissions: ['clipboard-read', 'clipboard-write'],
    })
    const page = await context.newPage()
    return new Person(user, context, page).at(this.address(graph, user))
  }

  /** Somebody with a profile on disk, which outlives the browser. */
  async profile(
    graph: string,
    user: string,
    folder: string = this.newFolder(),
  ): Promise<{ person: Person; folder: string; kill: () => void }> {
    const context = await playwright.launchPersistentContext(folder, {
      executablePath: chromium,
      args: ARGS,
      viewport: SIZE,
    })
    const page = context.pages()[0] ?? (await context.newPage())
    const person = await new Person(user, context, page).at(this.address(graph, user))
    const kill = (): void => {
      for (const pid of processesOf(folder)) process.kill(pid, 'SIGKILL')
    }
    return { person, folder, kill }
  }

  newFolder(): string {
    const folder = mkdtempSync(join(tmpdir(), 'dao-profile-'))
    this.#folders.push(folder)
    return folder
  }

  async state(graph: string): Promise<{
    version: number
    nodes: { id: string; position: { x: number; y: number }; data: never }[]
    edges: { id: string }[]
  }> {
    return (await fetch(`${this.url}/graphs/${graph}/state`)).json()
  }

  /** All operations, oldest first. */
  async operations(graph: string): Promise<Operation[]> {
    return (await (await fetch(`${this.url}/graphs/${graph}/operations?order=asc&limit=1000`)).json()).operations
  }

  async command(graph: string, user: string, type: string, payload: object): Promise<void> {
    const answer = await fetch(`${this.url}/graphs/${graph}/command`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-User-Id': user },
      body: JSON.stringify({ type, payload }),
    })
    if (!answer.ok) throw new Error(`${type}: ${answer.status} ${await answer.text()}`)
  }
}

/** The ids of the processes that work on a folder, which nobody else uses. */
function processesOf(folder: string): number[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return []
    try {
      return readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(`--user-data-dir=${folder}`) ? [Number(name)] : []
    } catch {
      return []
    }
  })
}

export class Person {
  readonly errors: string[] = []

  constructor(
    readonly user: string,
    readonly context: BrowserContext,
    public page: Page,
  ) {
    page.on('pageerror', (error) => this.errors.push(String(error)))
  }

  async at(address: string): Promise<this> {
    await this.page.goto(address)
    await this.page.waitForSelector('.dao-sync-badge')
    return this
  }

  /** The node with this name, as long as it is called so. */
  node(name: string): Locator {
    return this.page
      .locator('.react-flow__node')
      .filter({ has: this.page.locator(`[value="${name}"]`) })
      .last()
  }

  named(name: string): Locator {
    return this.page.getByRole('textbox', { name: 'Name', exact: true }).and(this.page.locator(`[value="${name}"]`))
  }

  async badge(text: string | RegExp): Promise<void> {
    await until(`${this.user}'s badge says ${text}`, async () => {
      const now = (await this.page.locator('.dao-sync-badge').textContent()) ?? ''
      return typeof text === 'string' ? now === text : text.test(now)
    })
  }

  async sees(name: string): Promise<void> {
    await this.page.waitForSelector(`.react-flow__node [value="${name}"]`)
  }

  async misses(name: string): Promise<void> {
    await this.page.waitForSelector(`.react-flow__node [value="${name}"]`, { state: 'detached' })
  }

  /** A spot on the node that is no field, button or handle. */
  async spot(name: string): Promise<{ x: number; y: number }> {
    const box = (await this.node(name).boundingBox())!
    return { x: box.x + 5, y: box.y + 5 }
  }

  async select(name: string): Promise<void> {
    const { x, y } = await this.spot(name)
    await this.page.mouse.click(x, y)
  }

  async hold(from: { x: number; y: number }, by: { x: number; y: number }): Promise<void> {
    await this.page.mouse.move(from.x, from.y)
    await this.page.mouse.down()
    for (let i = 1; i <= 10; i++) await this.page.mouse.move(from.x + (by.x * i) / 10, from.y + (by.y * i) / 10)
  }

  async drag(from: { x: number; y: number }, by: { x: number; y: number }): Promise<void> {
    await this.hold(from, by)
    await this.page.mouse.up()
  }

  async rename(from: string, to: string): Promise<void> {
    const input = this.named(from)
    await input.click()
    // One input event: typing that takes longer than a second is more than one commit.
    await input.fill(to)
    await this.page.keyboard.press('Enter')
  }

  /** For people to look at: written to the folder `SHOTS`, if that is set. */
  async shot(name: string): Promise<void> {
    const folder = process.env.SHOTS
    if (folder !== undefined) await this.page.screenshot({ path: join(folder, `${name}.png`) })
  }

  async insertSample(): Promise<void> {
    await this.page.click('.empty button')
    await this.badge('Saved')
  }
}
