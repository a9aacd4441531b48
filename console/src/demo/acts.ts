/** What the buttons do. Each act is told step by step, and only what was seen to happen is told. */
import type { Graph, Refusal, Status } from '@dao-api/client'
import { labelOf } from '../graph/text.ts'
import { ApiError, get, send } from '../shared/api.ts'
import { seg } from '../shared/links.ts'
import type { Changes } from '../shared/types.ts'
import { room } from './arrange.ts'
import type { Graphs, Pair, Person } from './people.ts'
import { edits, type Stories, versions } from './story.ts'
import { sleep, until, watchCommits } from './watch.ts'

/** Between the steps of an act, so that people can follow. Milliseconds. */
const STEP_MS = 900
/** How long an editor may take to catch up. Milliseconds. */
const CATCH_UP_MS = 20_000
const KILL_MS = 60_000

const WISHES = {
  ada: ['Refund at once', 'Refund today'],
  bob: ['Refund on Friday', 'Refund next week'],
} as const
const RENAMED = 'refund'

export class Acts {
  readonly #pair: Pair
  readonly #graphs: Graphs
  readonly #graphId: string
  readonly #stories: Stories
  readonly #changed: (busy: Act | null) => void
  #round = 0
  /** What Bob missed is counted from here. */
  #cutAt: { version: number; ended: () => number[]; own: () => number[] } | null = null

  /** `graphs` stay open as long as something is done. */
  constructor(pair: Pair, graphs: Graphs, graphId: string, stories: Stories, changed: (busy: Act | null) => void) {
    this.#pair = pair
    this.#graphs = graphs
    this.#graphId = graphId
    this.#stories = stories
    this.#changed = changed
  }

  #graph(who: Person): Graph {
    return this.#graphs[who.id]
  }

  /** One at a time. A failure is told, and the network is whole again afterwards. */
  async run(act: Act): Promise<void> {
    this.#changed(act)
    try {
      await this[act]()
    } catch (error) {
      this.#pair.bob.cable.plug()
      this.#stories.tell('bad', error instanceof Error ? error.message : String(error))
    } finally {
      this.#changed(null)
    }
  }

  async cut(): Promise<void> {
    const { bob } = this.#pair
    const stories = this.#stories
    stories.begin("Bob's connection is broken")
    this.#cutBob()
    stories.tell('warn', 'His socket is closed, and every new one is refused. He can go on editing.')
    stories.tell(
      'info',
      "Edit on both sides. Bob's edits wait in his editor; Ada's don't reach him. Then reconnect Bob.",
    )
    await until('Bob notices', () => this.#graph(bob).status.connection === 'offline', CATCH_UP_MS)
  }

  async reconnect(): Promise<void> {
    const { bob } = this.#pair
    const stories = this.#stories
    const waiting = this.#graph(bob).status.pending
    stories.begin('Bob is back')
    const { version, missed, own } = await this.#plugBob()
    stories.tell(
      'ok',
      missed.length === 0
        ? `Bob had version ${version}. He missed nothing, so no commit was sent to him.`
        : `Bob had version ${version}. The server sent exactly what he missed: ${versions(missed)}.`,
    )
    if (own.length === waiting && waiting > 0)
      stories.tell('ok', `His ${edits(waiting)} went in as ${versions(own)}, each exactly once.`)
    if (own.length < waiting)
      stories.tell(
        'warn',
        `Of his ${edits(waiting)}, ${own.length} went in. The server refused the rest: see his editor.`,
      )
    if (waiting === 0)
      stories.tell('info', 'He had edited nothing meanwhile. Try it: break it again and move a step as Bob.')
    await this.#tellEqual()
  }

  async conflict(): Promise<void> {
    const { ada, bob } = this.#pair
    const stories = this.#stories
    const target = this.#renamed()
    const [hers, his] = [this.#wish(ada, target), this.#wish(bob, target)]
    const rename = (who: Person, label: string): void => {
      this.#graph(who).updateNode(target.id, { data: { label } }, { label: 'Rename' })
    }
    stories.begin('Both rename one step')
    if (!bob.cable.isCut()) this.#cutBob()
    stories.tell('warn', 'Bob is offline.')
    await sleep(STEP_MS)
    rename(ada, hers)
    stories.tell('info', `Ada renames “${target.name}” to “${hers}”.`)
    await sleep(STEP_MS)
    rename(bob, his)
    stories.tell('info', `Bob has not seen that. He renames it to “${his}”.`)
    await sleep(STEP_MS)
    const refused = this.#nextRefusal(bob)
    await this.#plugBob()
    await until('the refusal', () => refused() !== null, CATCH_UP_MS)
    stories.tell(
      'warn',
      `Bob is back. The server refuses his edit (409 ${refused()?.code}): it would overwrite what Ada wrote, which he had not seen.`,
    )
    stories.tell('info', "Bob's editor shows both names. Choose one there.")
  }

  async undoAda(): Promise<void> {
    await this.#undo(this.#pair.ada)
  }

  async undoBob(): Promise<void> {
    await this.#undo(this.#pair.bob)
  }

  async kill(): Promise<void> {
    const { ada, bob } = this.#pair
    const both = [ada, bob]
    const stories = this.#stories
    const before = this.#graph(ada).status.point
    const watched = both.map((who) => watchCommits(this.#graph(who)))
    stories.begin('The server is killed')
    const begun = performance.now()
    await this.#askForDeath()
    await until('both notice', () => both.every((who) => !this.#isLive(who)), CATCH_UP_MS)
    stories.tell('bad', 'kill -9: no goodbye, no flush. Both editors are offline.')
    await sleep(STEP_MS / 3)
    this.#round++
    for (const who of both) this.#add(who, `${who.name}'s step ${this.#round}`)
    stories.tell('info', 'Both go on editing: each adds a step while nobody answers.')
    await until('the server is back', () => this.#isBack(), KILL_MS)
    for (const who of both) who.cable.wake()
    await until('both are back', () => both.every((who) => this.#isSettled(who)), KILL_MS)
    const seconds = ((performance.now() - begun) / 1000).toFixed(1)
    const own = watched.map((watch) => watch().own)
    stories.tell('ok', `The server is back, and both editors with it, ${seconds} s after the kill.`)
    if (!(await this.#stillHas(before))) {
      stories.tell('bad', `Version ${before.version} is not what it was before. That must not happen.`)
      return
    }
    const [first, second] = own.map(versions)
    stories.tell(
      'ok',
      `Nothing acknowledged is lost: version ${before.version} has the same hash. Ada's step is ${first}, Bob's ${second}.`,
    )
    await this.#tellEqual()
  }

  /** Told by the card of a refusal. */
  async chose(who: Person, refusal: Refusal, choice: 'mine' | 'theirs'): Promise<void> {
    const stories = this.#stories
    const other = who === this.#pair.ada ? this.#pair.bob : this.#pair.ada
    if (choice === 'theirs') {
      refusal.discard()
      stories.begin(`${who.name} keeps what ${other.name} wrote`)
      stories.tell('ok', 'Nothing was written. The refusal stays in the history, for whoever asks later.')
      return
    }
    stories.begin(`${who.name} tries again`)
    const sent = refusal.retry('overwrite')
    try {
      const outcome = await sent?.settled
      if (outcome !== undefined)
        stories.tell('ok', `Now ${who.name} has seen the other value, so it goes in: version ${outcome.version}.`)
      await this.#tellEqual()
    } catch {
      stories.tell('warn', 'It was refused again.')
    }
  }

  // --- Steps -----------------------------------------------------------------------------------

  #cutBob(): void {
    const { bob } = this.#pair
    const graph = this.#graph(bob)
    const watch = watchCommits(graph)
    this.#cutAt = { version: graph.status.point.version, ended: () => watch().others, own: () => watch().own }
    bob.cable.cut()
  }

  async #plugBob(): Promise<{ version: number; missed: number[]; own: number[] }> {
    const { ada, bob } = this.#pair
    bob.cable.plug()
    await until('Bob catches up', () => this.#isSettled(bob) && this.#isLevel(ada, bob), CATCH_UP_MS)
    const at = this.#cutAt
    this.#cutAt = null
    return { version: at?.version ?? 0, missed: at?.ended() ?? [], own: at?.own() ?? [] }
  }

  async #undo(who: Person): Promise<void> {
    const stories = this.#stories
    const graph = this.#graph(who)
    const other = who === this.#pair.ada ? this.#pair.bob : this.#pair.ada
    stories.begin(`${who.name} undoes`)
    const undone = graph.undo()
    if (undone === null) {
      stories.tell('info', `${who.name} has nothing to take back. ${other.name}'s edits are not ${who.name}'s to undo.`)
      return
    }
    if (!this.#isLive(who)) stories.tell('info', 'It shows at once, and is sent when the connection is back.')
    try {
      const { reverted, skipped } = await undone
      const what = reverted.length === 1 ? '1 element is' : `${reverted.length} elements are`
      stories.tell('ok', `${what} as before ${who.name}'s last edit. ${other.name}'s edits stay.`)
      if (skipped.length > 0)
        stories.tell('warn', `Left alone, because ${other.name} changed it since: ${skipped.length}.`)
    } catch {
      stories.tell(
        'warn',
        `Nothing was taken back: ${other.name} changed the same since. Nobody's work is overwritten.`,
      )
    }
  }

  #renamed(): { id: string; name: string } {
    const nodes = this.#graph(this.#pair.ada).getSnapshot().nodes
    const has = new Set(
      this.#graph(this.#pair.bob)
        .getSnapshot()
        .nodes.map(({ id }) => id),
    )
    const shared = nodes.filter(({ id, type }) => has.has(id) && type !== 'group')
    const node = shared.find(({ id }) => id === RENAMED) ?? shared[0]
    if (node === undefined) throw new Error('There is no step to rename. Add one first.')
    return { id: node.id, name: labelOf(node) }
  }

  /** Another name than the one that stands: else there would be nothing to write. */
  #wish(who: Person, { id, name }: { id: string; name: string }): string {
    const wishes = id === RENAMED ? WISHES[who.id] : [`Step of ${who.name}`, `${who.name}'s step`]
    return wishes.find((wish) => wish !== name)!
  }

  #add(who: Person, label: string): void {
    const graph = this.#graph(who)
    const position = room(graph.getSnapshot().nodes, who.id)
    graph.createNode({ type: 'task', position, data: { label } }, { label: 'Add a step' })
  }

  async #askForDeath(): Promise<void> {
    try {
      await send('POST', 'demo/kill')
    } catch (error) {
      // It may die before its answer is out, and the answer has no body.
      if (error instanceof ApiError && error.status >= 400) throw error
    }
  }

  async #isBack(): Promise<boolean> {
    try {
      await get('demo')
      return true
    } catch {
      return false
    }
  }

  #isLive(who: Person): boolean {
    return this.#graph(who).status.connection === 'live'
  }

  #isSettled(who: Person): boolean {
    return this.#isLive(who) && this.#graph(who).status.pending === 0
  }

  #isLevel(one: Person, other: Person): boolean {
    const [a, b] = [this.#graph(one).status.point, this.#graph(other).status.point]
    return a.version === b.version
  }

  /** A hash covers all commits before it, so the same hash is the same history (V3). */
  async #stillHas({ version, hash }: Status['point']): Promise<boolean> {
    const query = { since: version, hash, limit: 1 }
    const { reset } = await get<Changes>(`graphs/${seg(this.#graphId)}/changes`, { query })
    return reset !== true
  }

  #nextRefusal(who: Person): () => Refusal | null {
    let found: Refusal | null = null
    const stop = this.#graph(who).on('refused', (refusal) => {
      stop()
      found = refusal
    })
    return () => found
  }

  async #tellEqual(): Promise<void> {
    const { ada, bob } = this.#pair
    await until(
      'both are level',
      () => this.#isSettled(ada) && this.#isSettled(bob) && this.#isLevel(ada, bob),
      CATCH_UP_MS,
    )
    const { version, hash } = this.#graph(ada).status.point
    const isSame = hash === this.#graph(bob).status.point.hash
    if (isSame) this.#stories.tell('ok', `Both editors show version ${version}, hash ${hash?.slice(0, 8) ?? '–'}.`)
    else this.#stories.tell('bad', `At version ${version} the two have different hashes.`)
  }
}

export type Act = 'cut' | 'reconnect' | 'conflict' | 'undoAda' | 'undoBob' | 'kill'
