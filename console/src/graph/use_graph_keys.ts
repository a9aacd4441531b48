/** The keys of the graph page. */
import { useKeys } from '../shared/keys.ts'
import { compareLink } from '../shared/links.ts'
import type { Placed } from './place.ts'
import type { Travel } from './use_travel.ts'

const GROUP = 'Graph'

export function useGraphKeys({
  placed,
  travel,
  version,
  isHead,
}: {
  placed: Placed
  travel: Travel
  version: number
  isHead: boolean
}): void {
  const { place, go, open } = placed
  useKeys([
    { keys: 'ArrowLeft', label: 'Previous commit', group: GROUP, run: () => travel.byCommit(-1) },
    { keys: 'ArrowRight', label: 'Next commit', group: GROUP, run: () => travel.byCommit(1) },
    { keys: 'shift+ArrowLeft', label: 'Previous author', group: GROUP, run: () => void travel.byAuthor(-1) },
    { keys: 'shift+ArrowRight', label: 'Next author', group: GROUP, run: () => void travel.byAuthor(1) },
    { keys: '[', label: 'Previous label', group: GROUP, run: () => travel.byLabel(-1) },
    { keys: ']', label: 'Next label', group: GROUP, run: () => travel.byLabel(1) },
    { keys: 'y', label: 'Pin the address to this version', group: GROUP, run: () => go({ at: version }, true) },
    {
      keys: 'd',
      label: 'Compare',
      group: GROUP,
      run: () => open(compareLink(place.id, isHead ? Math.max(0, version - 1) : version, 'head')),
    },
    { keys: 'h', label: 'History', group: GROUP, run: () => go({ tab: 'history' }, true) },
    { keys: 'i', label: 'Inspect', group: GROUP, run: () => go({ tab: 'inspect' }, true) },
    {
      keys: 'o',
      label: 'Outline or picture',
      group: GROUP,
      run: () => go({ show: place.show === 'canvas' ? 'outline' : 'canvas' }, true),
    },
    {
      keys: 'Escape',
      label: 'Choose nothing',
      group: GROUP,
      run: () => place.chosen !== null && go({ chosen: null, path: null }, true),
    },
    { keys: 'k', label: 'Play or pause', group: GROUP, run: () => travel.play(!travel.playing) },
  ])
}
