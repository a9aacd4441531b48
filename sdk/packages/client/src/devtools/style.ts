/** The look of the element. It follows the colour scheme of the page. */
export const STYLE = `
:host { display: block; font: 12px/1.4 ui-monospace, monospace; max-height: 40vh; overflow: auto;
  color-scheme: light dark; color: CanvasText; background: Canvas; border-top: 1px solid GrayText }
nav { position: sticky; top: 0; display: flex; gap: 4px; padding: 4px; background: Canvas }
button { font: inherit; cursor: pointer }
button[aria-pressed=true] { font-weight: bold }
p { margin: 4px 8px }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: 1px 8px; word-break: break-word }
td:not(:last-child) { white-space: nowrap; word-break: normal; width: 1px }
tr:nth-child(even) td { background: color-mix(in srgb, CanvasText 6%, Canvas) }
`
