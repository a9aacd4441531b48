/** The theme's colours for canvases, which can't read custom properties themselves. */
import { useEffect, useState } from 'react'

export interface Colors {
  readonly node: string
  /** Of a node that is too small for a border. */
  readonly far: string
  readonly line: string
  readonly edge: string
  readonly group: string
  readonly selected: string
  readonly view: string
  readonly added: string
  readonly removed: string
  readonly changed: string
  readonly moved: string
}

const TOKENS: Readonly<Record<keyof Colors, string>> = {
  node: '--canvas-node',
  far: '--canvas-far',
  line: '--line-strong',
  edge: '--canvas-edge',
  group: '--surface-2',
  selected: '--accent',
  view: '--accent',
  added: '--added',
  removed: '--removed',
  changed: '--changed',
  moved: '--moved',
}

/** Reads them from an element that has the theme. `light-dark()` is only resolved in a property that is a colour. */
function read(element: Element): Colors {
  const probe = document.createElement('span')
  // Reduced motion makes all transitions short, and a transition would give the colour from before.
  probe.style.setProperty('transition', 'none', 'important')
  element.append(probe)
  const entries = Object.entries(TOKENS).map(([name, token]) => {
    probe.style.color = `var(${token})`
    return [name, getComputedStyle(probe).color]
  })
  probe.remove()
  return Object.fromEntries(entries) as unknown as Colors
}

/** The colours of now; others when the theme changes. */
export function useColors(element: Element | null): Colors | null {
  const [colors, setColors] = useState<Colors | null>(null)
  useEffect(() => {
    if (element === null) return
    const renew = (): void => setColors(read(element))
    renew()
    const queries = ['(prefers-color-scheme: dark)', '(forced-colors: active)'].map((query) => matchMedia(query))
    for (const query of queries) query.addEventListener('change', renew)
    const observer = new MutationObserver(renew)
    observer.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme', 'class', 'style'] })
    return () => {
      for (const query of queries) query.removeEventListener('change', renew)
      observer.disconnect()
    }
  }, [element])
  return colors
}
