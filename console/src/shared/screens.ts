/** The four screens, and the key of each: `g` and then it. */
import { graphsLink, operationsLink, subscriptionsLink, systemLink } from './links.ts'

export interface Screen {
  readonly href: string
  readonly name: string
  /** As the shortcut says it: `g o`. */
  readonly keys: string
}

export const SCREENS: readonly Screen[] = [
  { href: graphsLink(), name: 'Graphs', keys: 'g g' },
  { href: operationsLink(), name: 'Operations', keys: 'g o' },
  { href: subscriptionsLink(), name: 'Subscriptions', keys: 'g s' },
  { href: systemLink(), name: 'System', keys: 'g y' },
]
