/** Who are you: a token, or on a server without keys a name. The page that was asked for opens afterwards. */
import { type FormEvent, useState } from 'react'
import { isKept, SignInError, signIn, signOut, startSession, useSession } from '../shared/session.ts'

export function SignInPage() {
  const { phase, mode } = useSession()
  return (
    <main className="sign-in">
      <div className="sign-in-card card">
        <Brand />
        {phase === 'starting' && (
          <p className="loading" role="status">
            <span className="spinner" aria-hidden="true" /> Looking for the server…
          </p>
        )}
        {phase === 'unreachable' && (
          <div className="problem" role="alert">
            <strong className="problem-title">The server does not answer</strong>
            <p>Check that it runs and that you are online.</p>
            <div>
              <button type="button" onClick={() => void startSession()}>
                Try again
              </button>
            </div>
          </div>
        )}
        {phase === 'signed-out' && (mode === 'bearer' ? <TokenForm /> : <NameForm />)}
      </div>
    </main>
  )
}

function Brand() {
  return (
    <h1 className="brand">
      <Mark />
      dao-api <span>console</span>
    </h1>
  )
}

export function Mark() {
  return (
    <svg viewBox="0 0 16 16" width="26" height="26" aria-hidden="true">
      <rect width="16" height="16" rx="4" className="brand-tile" />
      <path d="M5 5l6 6M5 11V5" className="brand-line" />
      <circle cx="5" cy="5" r="1.8" className="brand-dot" />
      <circle cx="11" cy="11" r="1.8" className="brand-dot" />
      <circle cx="5" cy="11" r="1.8" className="brand-dot" />
    </svg>
  )
}

function useSubmit(secret: string, keep: boolean) {
  const [error, setError] = useState<SignInError | null>(null)
  const [busy, setBusy] = useState(false)
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault()
    setBusy(true)
    setError(null)
    try {
      await signIn(secret, keep)
    } catch (failure) {
      setError(failure instanceof SignInError ? failure : new SignInError(String(failure)))
    } finally {
      setBusy(false)
    }
  }
  return { error, busy, submit }
}

/** `renew`: over a page whose token has expired. */
export function TokenForm({ renew = false }: { renew?: boolean }) {
  const { userId } = useSession()
  const [token, setToken] = useState('')
  const [keep, setKeep] = useState(isKept())
  const { error, busy, submit } = useSubmit(token, keep)
  return (
    <form className="form" onSubmit={(event) => void submit(event)}>
      {renew && <p>Your token has expired. Paste a new one for {userId}: the page stays as it is.</p>}
      <label className="field">
        <span>Token</span>
        <input
          type="password"
          value={token}
          onChange={(event) => setToken(event.target.value)}
          autoComplete="off"
          spellCheck={false}
          // biome-ignore lint/a11y/noAutofocus: it is the only field of the page
          autoFocus
          aria-describedby="token-help"
        />
        <small id="token-help">
          A JSON Web Token from your issuer. For development: <code>dao-api token --user ada --graph '*=admin'</code>
        </small>
      </label>
      <label className="check">
        <input type="checkbox" checked={keep} onChange={(event) => setKeep(event.target.checked)} />
        Keep it in this tab when I reload
      </label>
      {error !== null && <Failure error={error} />}
      <div className="row">
        <button type="submit" className="primary" disabled={busy || token.trim() === ''}>
          {busy ? 'Checking…' : renew ? 'Continue' : 'Sign in'}
        </button>
        {renew && (
          <button type="button" onClick={signOut}>
            Sign out
          </button>
        )}
      </div>
    </form>
  )
}

function Failure({ error }: { error: SignInError }) {
  return (
    <div className="form-error" role="alert">
      <p>{error.message}</p>
      {error.code !== null && (
        <p className="small-text quiet">
          <code>{error.code}</code>
          {error.requestId !== null && (
            <>
              {' '}
              Request <code>{error.requestId}</code>
            </>
          )}
        </p>
      )}
    </div>
  )
}

function NameForm() {
  const [name, setName] = useState('ada')
  const { error, busy, submit } = useSubmit(name, true)
  return (
    <form className="form" onSubmit={(event) => void submit(event)}>
      <p className="quiet">A local server without keys. It believes the name that you give.</p>
      <label className="field">
        <span>You are</span>
        {/* biome-ignore lint/a11y/noAutofocus: it is the only field of the page */}
        <input value={name} onChange={(event) => setName(event.target.value)} maxLength={256} autoFocus />
      </label>
      {error !== null && <Failure error={error} />}
      <button type="submit" className="primary" disabled={busy || name.trim() === ''}>
        {busy ? 'Checking…' : 'Open the console'}
      </button>
    </form>
  )
}
