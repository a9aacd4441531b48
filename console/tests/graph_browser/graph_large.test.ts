/** K5, K3, K4: ten thousand nodes, and five thousand commits. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Stage, until, type Visitor } from '../browser/stage.ts'

const NODES = 10_000
const COLUMNS = 100
const COMMITS = 5_200
/** Milliseconds. */
const FIRST_PICTURE_MS_MAX = Number(process.env.FIRST_PICTURE_MS_MAX ?? 2_000)
const ROWS_MAX = 200
const COMMITS_ASKED_MAX = 1_000

const stage = new Stage({ env: { DURABILITY: 'interval' } })
beforeAll(async () => {
  await stage.open()
  const node = (i: number) => ({
    id: `n${i}`,
    type: i % 7 === 0 ? 'decision' : 'task',
    position: { x: (i % COLUMNS) * 240, y: Math.floor(i / COLUMNS) * 110 },
    data: { label: `Step ${i}` },
  })
  const part = NODES / 4
  for (let from = 0; from < NODES; from += part) {
    const nodes = Array.from({ length: part }, (_, i) => node(from + i))
    await stage.command('ada', 'large', 'BATCH_UPDATE', { nodes })
  }
  const edges = Array.from({ length: NODES - 1 }, (_, i) => i)
    .filter((i) => (i + 1) % COLUMNS !== 0)
    .map((i) => ({ id: `e${i}`, source: `n${i}`, target: `n${i + 1}` }))
  await stage.command('ada', 'large', 'BATCH_UPDATE', { edges })
  await stage.command('bob', 'large', 'DELETE_NODE', { nodeId: 'n5050' })
  await stage.command('bob', 'large', 'UPDATE_NODE', { nodeId: 'n5051', updates: { data: { label: 'Changed' } } })

  await stage.command('ada', 'long', 'CREATE_NODE', { id: 'a', data: { label: 'Ball' } })
  for (let from = 1; from < COMMITS; from += 400) {
    const operations = Array.from({ length: Math.min(400, COMMITS - from) }, (_, i) => ({
      type: (from + i) % 9 === 0 ? 'UPDATE_NODE' : 'UPDATE_NODE_POSITION',
      payload:
        (from + i) % 9 === 0
          ? { nodeId: 'a', updates: { data: { label: `Ball ${from + i}` } } }
          : { nodeId: 'a', position: { x: (from + i) % 500, y: (from + i) % 300 } },
    }))
    await stage.ask(from % 800 === 1 ? 'ada' : 'bob', 'POST', '/graphs/long/batch', { operations })
  }
}, 120_000)
afterAll(() => stage.close())

/** From the click in the list to the first picture. Milliseconds. */
async function firstPicture({ page, ...visitor }: Visitor): Promise<number> {
  await page.goto(`${visitor.root}/graphs`)
  const link = 'a[href*="graphs/large"]'
  await page.waitForSelector(link)
  return page.evaluate(
    (selector) =>
      new Promise<number>((resolve) => {
        const begun = performance.now()
        document.querySelector<HTMLAnchorElement>(selector)!.click()
        const look = (): void => {
          if (document.querySelector('.gp-overview[data-painted]') !== null) resolve(performance.now() - begun)
          else requestAnimationFrame(look)
        }
        look()
      }),
    link,
  )
}

test('k5_ten_thousand_nodes_first_picture_and_panning', async () => {
  const visitor = await stage.visitor({ user: 'ada' })
  const { page } = visitor
  // Other work on the machine makes a measurement longer, never shorter: the best of three counts.
  let firstMs = Number.POSITIVE_INFINITY
  for (let i = 0; i < 3; i++) firstMs = Math.min(firstMs, await firstPicture(visitor))
  await visitor.shot('graph_large')

  const box = (await page.locator('.gp-canvas').boundingBox())!
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2]
  /** Frames a second while the mouse drags the canvas. */
  const pan = async (): Promise<number> => {
    const where = () => page.locator('.react-flow__viewport').getAttribute('style')
    const from = await where()
    await page.mouse.move(x, y)
    await page.mouse.down()
    await page.evaluate(() => {
      const counted = { frames: 0, begun: performance.now(), ended: 0 }
      Object.assign(globalThis, { counted })
      const count = (now: number): void => {
        counted.frames += 1
        counted.ended = now
        requestAnimationFrame(count)
      }
      requestAnimationFrame(count)
    })
    for (let i = 0; i < 90; i++) await page.mouse.move(x + Math.sin(i / 9) * 200, y + Math.cos(i / 9) * 120)
    const fps = await page.evaluate(() => {
      const { frames, begun, ended } = (globalThis as unknown as { counted: Record<string, number> }).counted as {
        frames: number
        begun: number
        ended: number
      }
      return (frames * 1000) / (ended - begun)
    })
    expect(await where()).not.toBe(from)
    await page.mouse.up()
    return fps
  }
  const overviewFps = await pan()
  const view = () => page.locator('.react-flow__viewport').getAttribute('style')
  const panned = await view()
  await page.getByRole('button', { name: /fit view/i }).click()
  await until('all of it is seen again', async () => (await view()) !== panned)
  // Just above the overview, where React Flow draws the most nodes.
  for (let i = 0; i < 60 && (await page.locator('.react-flow__node').count()) === 0; i++) {
    await page.mouse.move(x, y)
    await page.mouse.wheel(0, -60)
    await page.waitForTimeout(60)
  }
  await until('nodes are seen', async () => (await page.locator('.react-flow__node').count()) > 0)
  const drawn = await page.locator('.react-flow__node').count()
  const nearFps = await pan()
  await visitor.shot('graph_large_near')
  console.log(
    `10,000 nodes: first picture ${firstMs.toFixed(0)} ms, panning ${overviewFps.toFixed(0)} fps (overview), ${nearFps.toFixed(0)} fps (near, ${drawn} nodes drawn)`,
  )
  expect(drawn).toBeLessThan(600)
  // What depends on the machine is printed, and judged where it is asked for: `make console-bench`.
  if (process.env.DAO_CONSOLE_BENCH === '1') {
    expect(firstMs).toBeLessThanOrEqual(FIRST_PICTURE_MS_MAX)
    expect(overviewFps).toBeGreaterThanOrEqual(30)
    // Without a graphics card Chromium paints by itself: on a busy machine that is what takes the time.
    expect(nearFps).toBeGreaterThanOrEqual(15)
  }

  await visitor.goto('/graphs/large/compare/5..head')
  await page.waitForSelector('.gp-overview')
  await until('the list is there', async () => (await page.locator('.gp-change').count()) > 0)
  await page.waitForTimeout(500)
  await visitor.shot('graph_large_compare')
  expect(visitor.faults).toEqual([])
  await visitor.close()
})

test('k3_k4_a_long_history_is_asked_for_and_drawn_in_windows', async () => {
  const visitor = await stage.visitor({ user: 'ada' })
  const { page } = visitor
  const asked: { path: string; limit: number }[] = []
  page.on('request', (request) => {
    const url = new URL(request.url())
    if (/changes|operations|history|activity/.test(url.pathname))
      asked.push({ path: url.pathname, limit: Number(url.searchParams.get('limit') ?? 100) })
  })
  await visitor.goto('/graphs/long?tab=history')
  await page.waitForSelector('.gp-run, .gp-row')
  const rows = () => page.locator('.gp-rows li').count()
  await page.getByLabel('group repeats').uncheck()
  await page.waitForSelector('.gp-row')
  const list = page.locator('.gp-rows')
  for (let i = 0; i < 60; i++) {
    await list.evaluate((element) => {
      element.scrollTop += 12_000
    })
    await page.waitForTimeout(60)
    expect(await rows()).toBeLessThanOrEqual(ROWS_MAX)
  }
  await until(
    'the beginning is reached',
    async () => {
      await list.evaluate((element) => {
        element.scrollTop = element.scrollHeight
      })
      return (await page.locator('.gp-row-version').allTextContents()).some((text) => text.trim() === 'v1')
    },
    30_000,
  )
  await list.evaluate((element) => {
    element.scrollTop = 0
  })
  await until('and the end again', async () =>
    (await page.locator('.gp-row-version').allTextContents()).some((text) => text.trim() === 'v5,200'),
  )
  expect(await rows()).toBeLessThanOrEqual(ROWS_MAX)

  // Scrubbing: far jumps, and playback.
  const slider = page.getByRole('slider', { name: 'Time' })
  for (const version of [100, 4_321, 2_999, 1_001]) {
    await slider.evaluate((element, to) => {
      const set = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value')!.set!
      set.call(element, String(to))
      element.dispatchEvent(new Event('input', { bubbles: true }))
    }, version)
    await until(`v${version}`, async () =>
      (await page.locator('.gp-note').textContent())?.includes(`v${version.toLocaleString('en')}`),
    )
    await until('the picture is that version', async () => {
      const style = await page.locator('.react-flow__node').getAttribute('style')
      const last = version % 9 === 0 ? version - 2 : version - 1
      return style?.includes(`translate(${last % 500}px, ${last % 300}px)`) || version % 9 <= 1
    })
  }
  await page.getByRole('button', { name: /^Speed/ }).click({ clickCount: 6 })
  await page.getByRole('button', { name: 'Play', exact: true }).click()
  await until('it plays', async () => {
    const at = Number(((await page.locator('.gp-when strong').textContent()) ?? '').replace(/[v,]/g, ''))
    return at > 1_500
  })
  await page.getByRole('button', { name: 'Pause' }).click()
  const largest = Math.max(...asked.filter(({ path }) => !path.endsWith('activity')).map(({ limit }) => limit))
  console.log(`5,200 commits: ${asked.length} requests, the largest for ${largest} commits`)
  expect(largest).toBeLessThanOrEqual(COMMITS_ASKED_MAX)
  expect(visitor.faults).toEqual([])
  await visitor.close()
})
