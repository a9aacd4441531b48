/** The two editors, the buttons that break things, what just happened, and the commits. */
import { useEffect, useMemo, useState, useSyncExternalStore } from 'react'
import { type Act, Acts } from './acts.ts'
import { Commits } from './commits.tsx'
import { Editor } from './editor.tsx'
import { closeGraphs, type Graphs, openGraphs, type Pair, people, retainPeople } from './people.ts'
import { Stories, type Tone } from './story.ts'

export function Stage({ graphId }: { graphId: string }) {
  const [pair] = useState(people)
  const [graphs, setGraphs] = useState<Graphs | null>(null)
  useEffect(retainPeople, [])
  useEffect(() => {
    const opened = openGraphs(pair, graphId)
    setGraphs(opened)
    return () => closeGraphs(opened)
  }, [pair, graphId])
  return graphs === null ? null : <Scene pair={pair} graphs={graphs} graphId={graphId} />
}

function Scene({ pair, graphs, graphId }: { pair: Pair; graphs: Graphs; graphId: string }) {
  const [busy, setBusy] = useState<Act | null>(null)
  const [stories] = useState(() => new Stories())
  const acts = useMemo(() => new Acts(pair, graphs, graphId, stories, setBusy), [pair, graphs, graphId, stories])
  const isCut = useSyncExternalStore(pair.bob.cable.subscribe, pair.bob.cable.isCut)
  return (
    <main className="stage">
      <h1 className="hidden">Two people edit one graph</h1>
      {[pair.ada, pair.bob].map((person) => (
        <Editor
          key={person.id}
          person={person}
          graphId={graphId}
          onChoice={(who, refusal, choice) => void acts.chose(who, refusal, choice)}
        />
      ))}
      <Buttons busy={busy} isCut={isCut} onAct={(act) => void acts.run(act)} />
      <StoryPanel stories={stories} isBusy={busy !== null} />
      <Commits pair={pair} graphs={graphs} graphId={graphId} />
    </main>
  )
}

interface ButtonsProps {
  busy: Act | null
  isCut: boolean
  onAct: (act: Act) => void
}

function Buttons({ busy, isCut, onAct }: ButtonsProps) {
  /** A disabled button would lose the focus of whoever works by keyboard. */
  const button = (act: Act, text: string, className = '', isOff = busy !== null) => (
    <button type="button" className={className} aria-disabled={isOff} onClick={() => !isOff && onAct(act)}>
      {text}
    </button>
  )
  return (
    <section className="acts" aria-label="Break things">
      <div className="act card">
        {isCut ? button('reconnect', '↻ Reconnect Bob') : button('cut', '⚡ Break Bob’s connection')}
        <p>
          {isCut
            ? 'Edit on both sides first. Then watch exactly the missing commits come.'
            : 'Watch: Bob goes on editing offline. Later, exactly what he missed comes.'}
        </p>
      </div>
      <div className="act card">
        {button('conflict', '⇄ Conflict')}
        <p>Watch: both rename one step, Bob offline. He sees both names and can retry.</p>
      </div>
      <div className="act card">
        <span className="act-two">
          {button('undoAda', '↶ Undo as Ada')}
          {button('undoBob', '↶ Undo as Bob')}
        </span>
        <p>Watch: it takes back the last edit of that person only. The other’s work stays.</p>
      </div>
      <div className="act card">
        {button('kill', '✕ Kill the server', 'danger', busy !== null || isCut)}
        <p>
          {isCut
            ? 'Reconnect Bob first.'
            : 'Watch: kill -9. Both keep editing; after two seconds it is back, with everything.'}
        </p>
      </div>
    </section>
  )
}

const SIGNS: Record<Tone, string> = { info: '◆', ok: '●', warn: '▲', bad: '✕' }

function StoryPanel({ stories, isBusy }: { stories: Stories; isBusy: boolean }) {
  const { title, lines } = useSyncExternalStore(stories.subscribe, stories.now)
  return (
    <section className="story card" aria-labelledby="story-title">
      <header className="panel-head">
        <h2 id="story-title">What just happened</h2>
        {isBusy && <span className="spinner" aria-hidden="true" />}
      </header>
      <div className="story-body" role="log" aria-live="polite">
        <h3>{title}</h3>
        <ul>
          {lines.map(({ tone, text }) => (
            <li key={text} className={`story-${tone}`}>
              <span aria-hidden="true">{SIGNS[tone]}</span>
              {text}
            </li>
          ))}
        </ul>
      </div>
    </section>
  )
}
