/** What may be the id of a graph (G3): at most 128 letters, digits and `. _ : -`, beginning with a letter or digit. */

const MOST = 128

/** For the `pattern` of an input. */
export const GRAPH_ID_PATTERN = '[A-Za-z0-9][A-Za-z0-9._:\\-]{0,127}'

const GRAPH_ID = new RegExp(`^${GRAPH_ID_PATTERN}$`)

export const isGraphId = (text: string): boolean => GRAPH_ID.test(text)

/** The id that a copy is proposed: `{id}-copy`, as long as an id may be. */
export function copyIdOf(id: string): string {
  const end = '-copy'
  return `${id.slice(0, MOST - end.length)}${end}`
}
