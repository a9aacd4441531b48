/** Proof: the server walks the hash chain; a hash that was noted before says whether it is the same history (A5, V4). */
import { type FormEvent, useEffect, useRef, useState } from 'react'
import { type ApiError, get, lines, rawLines, save } from '../../shared/api.ts'
import { bytes, count } from '../../shared/format.ts'
import { ProblemView } from '../../shared/problem.tsx'
import { absolute } from '../../shared/time.tsx'
import { CopyButton, Status } from '../../shared/ui.tsx'
import { asApiError } from '../../shared/use_load.ts'
import { type Match, matchOf, parseNoted } from '../noted_hash.ts'
import { graphPath } from '../source.ts'
import { v } from '../text.ts'
import type { Changes, GraphRow, Verified } from '../wire_types.ts'

type Line = { commits: number; of: number } | Verified

export function Proof({ id, row }: { id: string; row: GraphRow }) {
  return (
    <div className="gp-proof">
      <p>
        Proof that nobody altered the history since: verify it, compare it with a hash noted before, or keep a copy.
      </p>
      <Verify id={id} />
      <NotedHash id={id} row={row} />
      <Download id={id} />
    </div>
  )
}

function Verify({ id }: { id: string }) {
  const [progress, setProgress] = useState<{ commits: number; of: number } | null>(null)
  const [result, setResult] = useState<{ of: Verified; at: number } | null>(null)
  const [error, setError] = useState<ApiError | null>(null)
  const abort = useRef<AbortController | null>(null)
  useEffect(() => () => abort.current?.abort(), [])
  const run = async (): Promise<void> => {
    abort.current?.abort()
    const mine = new AbortController()
    abort.current = mine
    setError(null)
    setResult(null)
    setProgress({ commits: 0, of: 0 })
    try {
      for await (const line of lines<Line>(graphPath(id, '/verify'), { signal: mine.signal })) {
        if ('ok' in line) setResult({ of: line, at: Date.now() })
        else setProgress(line)
      }
    } catch (failure) {
      if (!mine.signal.aborted) setError(asApiError(failure))
    }
    setProgress(null)
  }
  return (
    <section>
      <h2>Verify the history</h2>
      <p className="quiet">
        Each commit has a hash of itself and of all commits before it. The server reads every commit and checks them.
      </p>
      <div className="row">
        <button type="button" className="primary" disabled={progress !== null} onClick={() => void run()}>
          {progress === null ? 'Verify' : 'Verifying…'}
        </button>
        {progress !== null && (
          <button type="button" onClick={() => abort.current?.abort()}>
            Stop
          </button>
        )}
      </div>
      {progress !== null && (
        <p role="status">
          <progress max={Math.max(1, progress.of)} value={progress.commits} aria-label="Commits verified" />{' '}
          {count(progress.commits)} of {count(progress.of)} commits
        </p>
      )}
      {error !== null && <ProblemView error={error} onRetry={() => void run()} />}
      {result !== null && <Result {...result} />}
    </section>
  )
}

function Result({ of, at }: { of: Verified; at: number }) {
  return (
    <div className={`gp-result ${of.ok ? 'gp-result-ok' : 'gp-result-bad'}`} role="status">
      <Status tone={of.ok ? 'ok' : 'bad'}>
        {of.ok
          ? `${count(of.commits)} of ${count(of.version)} commits are whole`
          : `Damaged from ${v(of.firstBadVersion ?? 0)} on: ${of.problem ?? 'the chain is broken'}`}
      </Status>
      <p className="gp-hash">
        <code>{of.hash}</code> <CopyButton text={`${of.version}:${of.hash}`} label="Copy version and hash" />
      </p>
      <p className="quiet small-text">
        Checked {absolute(at)}. Note version and hash: whoever rewrites the history can’t get the same hash again.
      </p>
    </div>
  )
}

function NotedHash({ id, row }: { id: string; row: GraphRow }) {
  const [text, setText] = useState('')
  const [match, setMatch] = useState<Match | null>(null)
  const [error, setError] = useState<ApiError | null>(null)
  const abort = useRef<AbortController | null>(null)
  useEffect(() => () => abort.current?.abort(), [])
  const noted = parseNoted(text)
  const change = (text: string): void => {
    // An answer to what stood there before says nothing about this.
    abort.current?.abort()
    setText(text)
    setMatch(null)
    setError(null)
  }
  const submit = async (event?: FormEvent): Promise<void> => {
    event?.preventDefault()
    if (noted === null) return
    abort.current?.abort()
    const mine = new AbortController()
    const { signal } = mine
    abort.current = mine
    const version = noted.version ?? row.version
    setMatch(null)
    setError(null)
    try {
      const query = { since: version, hash: noted.hash, limit: 1 }
      const answer = await get<Changes>(graphPath(id, '/changes'), { signal, query })
      if (!signal.aborted) setMatch(matchOf(noted, version, answer))
    } catch (failure) {
      if (!signal.aborted) setError(asApiError(failure))
    }
  }
  return (
    <section>
      <h2>Compare with a noted hash</h2>
      <form onSubmit={(event) => void submit(event)} className="gp-noted">
        <label className="field">
          <span>Version and hash, or the hash of the newest version</span>
          <input
            value={text}
            placeholder="1482:9f3c…"
            spellCheck={false}
            className="mono"
            onChange={(event) => change(event.target.value)}
          />
        </label>
        <button type="submit" disabled={noted === null}>
          Compare
        </button>
      </form>
      {text.trim() !== '' && noted === null && <p className="quiet small-text">A hash has 64 hexadecimal digits.</p>}
      {error !== null && <ProblemView error={error} onRetry={() => void submit()} />}
      {match !== null && (
        <p role="status">
          {match.kind === 'same' && (
            <Status tone="ok">The same history: nothing up to {v(match.version)} was changed.</Status>
          )}
          {match.kind === 'other' && <Status tone="bad">Another history: {v(match.version)} has another hash.</Status>}
          {match.kind === 'elsewhere' && (
            <Status tone="quiet">This is not the hash of {v(match.version)}. Give the version too.</Status>
          )}
          {match.kind === 'ahead' && (
            <Status tone="bad">The graph has no {v(match.version)}: commits are missing.</Status>
          )}
        </p>
      )}
    </section>
  )
}

function Download({ id }: { id: string }) {
  const [read, setRead] = useState<{ commits: number; size: number } | null>(null)
  const [error, setError] = useState<ApiError | null>(null)
  const [busy, setBusy] = useState(false)
  const abort = useRef<AbortController | null>(null)
  useEffect(() => () => abort.current?.abort(), [])
  const run = async (): Promise<void> => {
    abort.current?.abort()
    const mine = new AbortController()
    const { signal } = mine
    abort.current = mine
    setError(null)
    setRead(null)
    setBusy(true)
    const parts: Blob[] = []
    let [pending, commits, size] = ['', 0, 0]
    const flush = (): void => {
      const part = new Blob([pending])
      parts.push(part)
      size += part.size
      pending = ''
      setRead({ commits, size })
    }
    try {
      // As the server wrote them: numbers and the order of keys stay.
      for await (const line of rawLines(graphPath(id, '/events'), { signal, query: { follow: false } })) {
        pending += `${line}\n`
        commits += 1
        if (pending.length >= 1 << 20) flush()
      }
      if (signal.aborted) return
      flush()
      save(new Blob(parts, { type: 'application/x-ndjson' }), `${id}.ndjson`)
    } catch (failure) {
      if (signal.aborted) return
      setError(asApiError(failure))
    }
    setBusy(false)
  }
  return (
    <section>
      <h2>Download the history</h2>
      <p className="quiet">One line of JSON for each commit, with its hash.</p>
      <button type="button" disabled={busy} onClick={() => void run()}>
        {busy ? 'Downloading…' : 'Download NDJSON'}
      </button>
      {read !== null && (
        <p role="status" className="small-text">
          {count(read.commits)} commits, {bytes(read.size)}
        </p>
      )}
      {error !== null && <ProblemView error={error} onRetry={() => void run()} />}
      <details>
        <summary>Check the chain yourself in ten lines of Python</summary>
        <pre>
          <code>{CHECKER}</code>
        </pre>
        <p className="small-text quiet">
          It reads the server’s database file. Compare its last line with a hash that you noted.
        </p>
      </details>
    </section>
  )
}

const CHECKER = `import sqlite3, hashlib
db = sqlite3.connect("file:data/dao.db?mode=ro", uri=True)
last = bytes(32)
rows = db.execute("SELECT version, hash, body FROM history"
                  " WHERE graph = ? ORDER BY version", ("GRAPH",))
for expected, (version, hash, body) in enumerate(rows, 1):
    last = hashlib.sha256(last + hashlib.sha256(body).digest()).digest()
    assert (version, hash) == (expected, last), f"broken at {expected}"
print(last.hex())`
