/** `dao-api demo`, and people at its page. */
import type { Locator, Page } from 'playwright-core'
import { Stage, until, type Visitor } from './stage.ts'

/** The graph of the demo. */
export const GRAPH = 'demo'

type Who = 'ada' | 'bob'

interface State {
  version: number
  hash: string
  nodes: { id: string; data: { label?: string }; position: { x: number; y: number } }[]
  edges: { id: string }[]
}

export class DemoStage {
  readonly stage: Stage = new Stage({ demo: true })

  async open(): Promise<this> {
    await this.stage.open()
    return this
  }

  /** Somebody at `/console/demo`, with both editors ready. */
  async visitor(theme: 'light' | 'dark' = 'light'): Promise<Visitor> {
    const visitor = await this.stage.visitor({ theme })
    const { page } = visitor
    await visitor.goto('/demo')
    for (const who of ['ada', 'bob'] as const) await new Editor(page, who).saved()
    return visitor
  }

  async state(): Promise<State> {
    return (await this.stage.ask('test', 'GET', `/graphs/${GRAPH}/state`)) as unknown as State
  }

  async commits(): Promise<{ version: number; userId: string; hash: string; operationId: string }[]> {
    const { operations } = await this.stage.ask('test', 'GET', `/graphs/${GRAPH}/operations?order=asc&limit=1000`)
    return (operations as never[]).filter(({ status }) => status === 'completed')
  }

  close(): Promise<void> {
    return this.stage.close()
  }
}

export class Editor {
  readonly root: Locator

  constructor(
    readonly page: Page,
    who: Who,
  ) {
    this.root = page.locator(`.editor-${who}`)
  }

  node(label: string): Locator {
    return this.root.locator('.react-flow__node').filter({ hasText: label })
  }

  async sees(label: string, ms = 10_000): Promise<void> {
    await this.node(label).first().waitFor({ timeout: ms })
  }

  async saved(): Promise<void> {
    await this.root.locator('.editor-sync[data-tone=ok]').waitFor()
  }

  async rename(from: string, to: string): Promise<void> {
    await this.node(from).first().dblclick()
    await this.root.locator('textarea').fill(to)
    await this.page.keyboard.press('Enter')
  }

  labels(): Promise<string[]> {
    return this.root.locator('.react-flow__node .step-label').allTextContents()
  }
}

/** Waits for a line of the story. */
export async function told(page: Page, text: string | RegExp, ms = 20_000): Promise<void> {
  await page.locator('.story-body li').filter({ hasText: text }).first().waitFor({ timeout: ms })
}

export async function equal(page: Page): Promise<void> {
  const [ada, bob] = [new Editor(page, 'ada'), new Editor(page, 'bob')]
  await until('both editors show the same', async () => {
    const [a, b] = await Promise.all([ada.labels(), bob.labels()])
    return a.length > 0 && JSON.stringify(a) === JSON.stringify(b)
  })
}
