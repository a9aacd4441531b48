/** Takes the picture for the README: `PICTURE=docs/images/two-editors.png npm run test:browser -- picture`. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { root } from './places.ts'
import { Stage } from './stage.ts'

const path = process.env.PICTURE
const SIZE = { width: 760, height: 620 }

test.runIf(path !== undefined)('two editors side by side', async () => {
  const stage = new Stage()
  await stage.open()
  const ada = await stage.person('invoices', 'Ada')
  await ada.page.setViewportSize(SIZE)
  await ada.page.reload()
  await ada.insertSample()
  const bob = await stage.person('invoices', 'Bob')
  await bob.page.setViewportSize(SIZE)
  await bob.page.reload()
  await bob.sees('Read the amounts')
  await bob.page.getByRole('button', { name: 'Dark colours' }).click()
  await bob.page.getByRole('button', { name: 'History' }).click()
  await ada.rename('Schedule payment', 'Pay on Friday')
  await bob.sees('Pay on Friday')
  await bob.select('Match the order')
  await bob.page.locator('.react-flow__node:has([value="Check the limit"]) .pill').click()
  await bob.page.mouse.move(300, 250)
  await ada.hold(await ada.spot('Ask for approval'), { x: 36, y: 26 })
  await ada.page.waitForSelector('.dao-cursor-name')
  await bob.page.waitForTimeout(900)
  const [left, right] = await Promise.all(
    [ada, bob].map(async ({ page }) => (await page.screenshot()).toString('base64')),
  )
  await ada.page.mouse.up()
  const both = await ada.context.newPage()
  await both.setViewportSize({ width: 2 * SIZE.width + 120, height: SIZE.height + 116 })
  const frame = (image: string | undefined, name: string): string =>
    `<figure><figcaption><i></i><i></i><i></i><span>${name}</span></figcaption><img src="data:image/png;base64,${image}"></figure>`
  await both.setContent(`<style>
    body { margin: 0; padding: 40px; display: flex; gap: 40px; background: linear-gradient(120deg, #e0e7ff, #fce7f3); }
    figure { margin: 0; border-radius: 12px; overflow: hidden; box-shadow: 0 12px 40px rgb(30 41 59 / .25); }
    figcaption { display: flex; gap: 7px; align-items: center; height: 36px; padding: 0 14px; background: #f1f5f9; font: 500 13px Inter, sans-serif; color: #475569; }
    figcaption span { margin: auto; transform: translateX(-26px); }
    i { width: 11px; height: 11px; border-radius: 50%; background: #f87171; } i + i { background: #fbbf24; } i + i + i { background: #4ade80; }
    img { display: block; width: ${SIZE.width}px; }
  </style>${frame(left, 'Ada')}${frame(right, 'Bob')}`)
  await both.waitForTimeout(300)
  const picture = await both.screenshot()
  expect(picture.length).toBeLessThan(300_000)
  const file = resolve(root, path!)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, picture)
  await stage.close()
})
