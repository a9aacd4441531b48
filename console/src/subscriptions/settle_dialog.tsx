/** Retries or drops parked commits. It shows which, because a drop can't be taken back. */
import { describe } from '../graph/describe.ts'
import { send } from '../shared/api.ts'
import { ConfirmDialog } from '../shared/dialog.tsx'
import { counted } from '../shared/format.ts'
import { JsonView } from '../shared/json_view.tsx'
import { seg } from '../shared/links.ts'
import { notify } from '../shared/notices.tsx'
import { ProblemView } from '../shared/problem.tsx'
import type { Parked } from '../shared/types.ts'
import { useWrite } from '../shared/use_write.ts'

interface Props {
  name: string
  act: 'retry' | 'drop'
  rows: readonly Parked[]
  onClose: () => void
  onDone: () => void
}

const SHOWN = 20

export function SettleDialog({ name, act, rows, onClose, onDone }: Props) {
  const write = useWrite()
  const settle = (): Promise<void> =>
    write.run(async () => {
      const deliveryIds = rows.map(({ deliveryId }) => deliveryId)
      const { known, unknown } = await send<{ known: number; unknown: number }>(
        'POST',
        `subscriptions/${seg(name)}/parked/${act}`,
        { deliveryIds },
      )
      const did = act === 'retry' ? 'Handed out again' : 'Dropped'
      const rest = unknown === 0 ? '' : ` ${counted(unknown, 'other')} was not parked any more.`
      notify({ text: `${did}: ${counted(known, 'commit')} of ${name}.${rest}` })
      onClose()
      onDone()
    })
  return (
    <ConfirmDialog
      title={act === 'retry' ? `Retry ${counted(rows.length, 'commit')}` : `Drop ${counted(rows.length, 'commit')}`}
      {...(act === 'drop' ? { typed: name } : {})}
      action={act === 'retry' ? 'Retry' : 'Drop'}
      onConfirm={settle}
      onClose={onClose}
    >
      {act === 'retry' ? (
        <p>Each is delivered again from its first attempt, before the waiting commits of its graph.</p>
      ) : (
        <p>
          <strong>This can't be taken back.</strong> No consumer of {name} gets these commits any more. They stay in the
          history of their graphs.
        </p>
      )}
      <ul className="settle-list">
        {rows.slice(0, SHOWN).map((row) => (
          <li key={row.deliveryId}>
            <details>
              <summary>
                <code>{row.graphId}</code> v{row.version}:{' '}
                {row.commit === null ? 'the rest of its history' : describe(row.commit)}
              </summary>
              <JsonView value={row.commit} />
            </details>
          </li>
        ))}
      </ul>
      {rows.length > SHOWN && <p className="quiet">And {counted(rows.length - SHOWN, 'other')}.</p>}
      {write.error !== undefined && <ProblemView error={write.error} />}
    </ConfirmDialog>
  )
}
