/**
 * JSON as a tree. Children are made when a branch is opened, at most 100 at a time, and values above 32 KiB are folded with their
 * size and a download (K3). Everything is text.
 */
import { useMemo, useState } from 'react'
import { save } from './api.ts'
import { bytes } from './format.ts'
import { sizeAtMost } from './json_size.ts'

const FOLD_BYTES = 32 * 1024
const STEP = 100
const SHORT = 120

export function JsonView({ value, name, open = 1 }: { value: unknown; name?: string; open?: number }) {
  return (
    <div className="json">
      <Branch value={value} name={name} depth={0} open={open} />
    </div>
  )
}

function Branch({
  value,
  name,
  depth,
  open,
}: {
  value: unknown
  name?: string | undefined
  depth: number
  open: number
}) {
  const label = name === undefined ? null : <span className="json-key">{name}: </span>
  if (typeof value === 'string') return <Text value={value} name={name} />
  if (value === null || typeof value !== 'object')
    return (
      <div className="json-line">
        {label}
        <span className={`json-${value === null ? 'null' : typeof value}`}>{String(value)}</span>
      </div>
    )
  return <Container value={value} name={name} depth={depth} open={open} />
}

function Text({ value, name }: { value: string; name?: string | undefined }) {
  const label = name === undefined ? null : <span className="json-key">{name}: </span>
  if (value.length > FOLD_BYTES)
    return <Folded label={label} name={name} size={value.length} make={() => value} kind="text" />
  return (
    <div className="json-line">
      {label}
      <span className="json-string">{JSON.stringify(value)}</span>
    </div>
  )
}

function Container({
  value,
  name,
  depth,
  open,
}: {
  value: object
  name?: string | undefined
  depth: number
  open: number
}) {
  const size = useMemo(() => sizeAtMost(value, FOLD_BYTES + 1), [value])
  const large = size > FOLD_BYTES
  const [opened, setOpened] = useState(depth < open && !(large && depth > 0))
  const [shown, setShown] = useState(STEP)
  const list = Array.isArray(value)
  const entries = opened ? Object.entries(value) : []
  const count = list ? value.length : Object.keys(value).length
  const label = name === undefined ? null : <span className="json-key">{name}: </span>
  if (count === 0)
    return (
      <div className="json-line">
        {label}
        {list ? '[]' : '{}'}
      </div>
    )
  return (
    <details open={opened} onToggle={(event) => setOpened(event.currentTarget.open)}>
      <summary>
        {label}
        <span className="json-count">{list ? `[ ${count} ]` : opened ? `{ ${count} }` : preview(value)}</span>
        {large && (
          <>
            {' '}
            <span className="json-size">more than {bytes(FOLD_BYTES)}</span>{' '}
            <DownloadValue name={name} make={() => JSON.stringify(value, null, 2)} />
          </>
        )}
      </summary>
      {opened && (
        <div className="json-children">
          {entries.slice(0, shown).map(([key, child]) => (
            <Branch key={key} name={key} value={child} depth={depth + 1} open={open} />
          ))}
          {entries.length > shown && (
            <button type="button" className="link" onClick={() => setShown(shown + STEP)}>
              {entries.length - shown} more
            </button>
          )}
        </div>
      )}
    </details>
  )
}

function Folded({
  label,
  name,
  size,
  make,
  kind,
}: {
  label: React.ReactNode
  name?: string | undefined
  size: number
  make: () => string
  kind: string
}) {
  return (
    <div className="json-line">
      {label}
      <span className="json-size">
        {kind} of {bytes(size)}
      </span>{' '}
      <DownloadValue name={name} make={make} />
    </div>
  )
}

function DownloadValue({ name, make }: { name?: string | undefined; make: () => string }) {
  return (
    <button
      type="button"
      className="link"
      onClick={(event) => {
        event.preventDefault()
        save(new Blob([make()], { type: 'text/plain' }), `${name ?? 'value'}.txt`)
      }}
    >
      download
    </button>
  )
}

function preview(value: object): string {
  const parts: string[] = []
  let length = 0
  for (const [key, child] of Object.entries(value)) {
    const shown = child === null || typeof child !== 'object' ? JSON.stringify(child) : '…'
    const part = `${key}: ${shown.length > 40 ? `${shown.slice(0, 40)}…` : shown}`
    length += part.length
    if (length > SHORT) return `{ ${parts.join(', ')}, … }`
    parts.push(part)
  }
  return `{ ${parts.join(', ')} }`
}
