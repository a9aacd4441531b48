/** What just happened, in words. The page shows the latest story; its lines appear as the steps happen. */

export type Tone = 'info' | 'ok' | 'warn' | 'bad'

export interface Line {
  readonly tone: Tone
  readonly text: string
}

export interface Story {
  readonly title: string
  readonly lines: readonly Line[]
}

const BEGIN: Story = {
  title: 'Ada and Bob edit one graph',
  lines: [
    {
      tone: 'info',
      text: 'Move a step, double-click one to rename it, or add one. The other editor shows it at once.',
    },
    {
      tone: 'info',
      text: 'Each editor has its own connection, queue and undo. Every edit becomes a commit in the list.',
    },
    { tone: 'info', text: 'Then press the buttons above: they break things for real.' },
  ],
}

export class Stories {
  #now: Story = BEGIN
  readonly #listeners = new Set<() => void>()

  readonly now = (): Story => this.#now

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  begin(title: string): void {
    this.#set({ title, lines: [] })
  }

  tell(tone: Tone, text: string): void {
    this.#set({ ...this.#now, lines: [...this.#now.lines, { tone, text }] })
  }

  #set(story: Story): void {
    this.#now = story
    for (const listener of this.#listeners) listener()
  }
}

/** "version 34", "versions 34 to 36", "versions 34, 36 and 37" */
export function versions(list: readonly number[]): string {
  const [first, ...rest] = [...list].sort((a, b) => a - b)
  if (first === undefined) return 'no version'
  if (rest.length === 0) return `version ${first}`
  const last = rest.at(-1)!
  if (last - first === rest.length)
    return rest.length === 1 ? `versions ${first} and ${last}` : `versions ${first} to ${last}`
  return `versions ${[first, ...rest.slice(0, -1)].join(', ')} and ${last}`
}

export const edits = (count: number): string => (count === 1 ? '1 edit' : `${count} edits`)
