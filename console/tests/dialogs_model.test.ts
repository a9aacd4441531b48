/** The dialogs of one graph: the same wherever they are opened, and one operation however often they are tried. */
import { type ComponentType, createElement } from 'react'
import { renderToString } from 'react-dom/server'
import { describe, expect, test } from 'vitest'
import { ApiError } from '../src/shared/api.ts'
import type { GraphDialogProps } from '../src/shared/graph_act.tsx'
import { CopyDialog, LabelDialog, RecoverDialog, TrashDialog } from '../src/shared/graph_dialogs.tsx'
import type { GraphRow } from '../src/shared/types.ts'
import { useWrite, type Write } from '../src/shared/use_write.ts'

const row = {
  graphId: `flow-${'x'.repeat(123)}`,
  version: 40,
  labels: { published: { version: 12, by: 'ada', at: 1 } },
} as unknown as GraphRow

const shown = (dialog: ComponentType<GraphDialogProps & { version?: number }>, version?: number): string =>
  renderToString(
    createElement(dialog, {
      row,
      onClose: () => undefined,
      onDone: () => undefined,
      ...(version === undefined ? {} : { version }),
    }),
  )
const values = (html: string): string[] =>
  [...html.matchAll(/<input [^>]*?value="([^"]*)"/g)].map(([, value]) => value!)

describe('k2 dialogs of one graph', () => {
  test('k2_a_copy_and_a_label_are_of_the_version_that_is_looked_at', () => {
    const id = `flow-${'x'.repeat(118)}-copy`
    expect(values(shown(CopyDialog))).toEqual([id, ''])
    expect(values(shown(CopyDialog, 12))).toEqual([id, '12'])
    expect(values(shown(LabelDialog))).toEqual(['published', '40', ''])
    expect(values(shown(LabelDialog, 7))).toEqual(['', '7', ''])
    expect(shown(LabelDialog)).toContain('It is v12 now, set by ada.')
    expect(shown(LabelDialog, 7)).not.toContain('It is v12 now')
  })

  test('k2_the_trash_has_one_name', () => {
    expect(shown(TrashDialog)).toContain('Move to the trash')
    expect(shown(RecoverDialog)).toContain('move it to the trash again')
  })
})

describe('c3 one write', () => {
  /** The hook, outside of a page: what it shows is not looked at. */
  function write(): Write {
    let hook: Write | undefined
    renderToString(
      createElement(() => {
        hook = useWrite()
        return null
      }),
    )
    return hook!
  }

  test('c3_an_attempt_after_a_lost_answer_has_the_same_id_unless_something_else_is_written', async () => {
    const { run } = write()
    const ids: string[] = []
    const attempt = (what: string, status: number): Promise<void> =>
      run(async (operationId) => {
        ids.push(operationId)
        if (status !== 200) throw new ApiError(status, 'CODE', 'no', null, null, null)
      }, what).catch(() => undefined)
    await attempt('a', 0)
    await attempt('a', 503)
    await attempt('b', 0)
    await attempt('b', 409)
    await attempt('b', 200)
    await attempt('b', 200)
    const [first, second, third, fourth, fifth, sixth] = ids
    expect(second).toBe(first)
    expect(fourth).toBe(third)
    expect(new Set([first, third, fifth, sixth]).size).toBe(4)
  })
})
