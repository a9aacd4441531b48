/** examples/save-document: two browsers save whole documents at the same time, and nothing is lost. */
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import react from '@vitejs/plugin-react'
import type { Dialog, Page } from 'playwright-core'
import { build, type PreviewServer, preview } from 'vite'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { root } from './places.ts'
import { Stage, until } from './stage.ts'

const example = join(root, 'examples/save-document')
const built = mkdtempSync(join(tmpdir(), 'dao-save-document-'))
const stage = new Stage()
let served: PreviewServer
let origin: string

/** The example is built with the packages of the console, which are of the same versions: it needs no install of its own. */
const packages = ['react-dom', 'react', '@xyflow/react'].map((name) => ({
  find: new RegExp(`^${name}(?=/|$)`),
  replacement: dirname(createRequire(import.meta.url).resolve(`${name}/package.json`)),
}))

beforeAll(async () => {
  const common = { root: example, configFile: false, logLevel: 'silent' } as const
  await build({
    ...common,
    plugins: [react()],
    resolve: { alias: packages },
    build: { outDir: built, emptyOutDir: true },
  })
  await stage.open()
  served = await preview({
    ...common,
    build: { outDir: built },
    preview: { host: '127.0.0.1', port: 0, proxy: { '/graphs': { target: stage.url } } },
  })
  origin = served.resolvedUrls!.local[0]!
})

afterAll(async () => {
  await served.close()
  await stage.close()
  rmSync(built, { recursive: true, force: true })
})

async function come(user: string, graph: string): Promise<Page> {
  const { page } = await stage.visitor()
  await page.goto(`${origin}?user=${user}&graph=${graph}`)
  await page.getByText('Saved', { exact: true }).waitFor()
  return page
}

const add = (page: Page): Promise<void> => page.getByRole('button', { name: 'Add a step' }).click()

async function rename(page: Page, from: string, to: string): Promise<void> {
  page.once('dialog', (dialog: Dialog) => void dialog.accept(to))
  await page.locator('.react-flow__node').filter({ hasText: from }).dblclick()
}

const labels = async (page: Page): Promise<string[]> =>
  (await page.locator('.react-flow__node').allTextContents()).sort()

async function stored(graph: string): Promise<string[]> {
  const { nodes } = (await stage.ask('test', 'GET', `/graphs/${graph}/document`)) as {
    nodes: { data: { label: string } }[]
  }
  return nodes.map(({ data }) => data.label).sort()
}

async function both(pages: readonly Page[], graph: string, wanted: readonly string[]): Promise<void> {
  await until(`all have ${wanted.join(', ')}`, async () => {
    const all = [await stored(graph), ...(await Promise.all(pages.map(labels)))]
    return all.every((list) => JSON.stringify(list) === JSON.stringify(wanted))
  })
}

test('what both add and rename at the same time is all there', async () => {
  const [ada, bob] = [await come('ada', 'saved'), await come('bob', 'saved')]
  await add(ada)
  await add(ada)
  await both([ada, bob], 'saved', ['Step 1', 'Step 2'])
  const edit = async (page: Page, from: string, to: string): Promise<void> => {
    await add(page)
    await rename(page, from, to)
  }
  for (let round = 1; round <= 3; round++)
    await Promise.all([
      edit(ada, round === 1 ? 'Step 1' : `Ada ${round - 1}`, `Ada ${round}`),
      edit(bob, round === 1 ? 'Step 2' : `Bob ${round - 1}`, `Bob ${round}`),
    ])
  const all = await until('six new steps and both names', async () => {
    const now = await stored('saved')
    return now.length === 8 && now.includes('Ada 3') && now.includes('Bob 3') && now
  })
  await both([ada, bob], 'saved', all)
  const { operations } = await stage.ask('test', 'GET', '/graphs/saved/operations?limit=1000')
  const kinds = new Set((operations as { commandType: string }[]).map(({ commandType }) => commandType))
  expect([...kinds]).toEqual(['SAVE_DOCUMENT'])
})

test('one field that both change: the first value stands, and the other one is told', async () => {
  const [ada, bob] = [await come('ada', 'field'), await come('bob', 'field')]
  await add(ada)
  await both([ada, bob], 'field', ['Step 1'])
  await Promise.all([rename(ada, 'Step 1', "Ada's"), rename(bob, 'Step 1', "Bob's")])
  const notices = async (): Promise<string> =>
    (await Promise.all([ada, bob].map((page) => page.getByRole('alert').allTextContents()))).flat().join()
  await until('one of them is told', async () => /(Ada's.*stands.*Bob's)|(Bob's.*stands.*Ada's)/.test(await notices()))
  await until('both show what stands', async () => {
    const [now] = await stored('field')
    return (await labels(ada))[0] === now && (await labels(bob))[0] === now
  })
})

test('a server that is killed between two saves costs nothing', async () => {
  const ada = await come('ada', 'killed')
  await add(ada)
  await until('it is saved', async () => (await stored('killed')).length === 1)
  await stage.killServer()
  await add(ada)
  await ada.getByText('Not saved').waitFor()
  await stage.startServer()
  await until('both are saved', async () => (await stored('killed')).length === 2)
})
