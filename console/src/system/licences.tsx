/** What the console is built of, with its licences: a file beside the scripts, read when it is asked for. */
import { useState } from 'react'
import { Loading } from '../shared/ui.tsx'
import { useLoad } from '../shared/use_load.ts'

const place = (): string =>
  import.meta.env.PROD
    ? import.meta.url.replace(/[^/]*$/, 'THIRD_PARTY.txt')
    : `${import.meta.env.BASE_URL}THIRD_PARTY.txt`

async function load(signal: AbortSignal): Promise<string> {
  const answer = await fetch(place(), { signal })
  if (!answer.ok) throw new Error(`The file is missing (${answer.status}).`)
  return answer.text()
}

export function Licences() {
  const [open, setOpen] = useState(false)
  const { data, error } = useLoad('licences', load, { when: open })
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>Licences of the console's parts</summary>
      {error !== undefined && <p className="danger-text">{error.detail}</p>}
      {open && data === undefined && error === undefined && <Loading what="licences" />}
      {data !== undefined && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls
        <pre className="licences" tabIndex={0}>
          {data}
        </pre>
      )}
    </details>
  )
}
