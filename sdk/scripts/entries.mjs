// What each package exports: the name of an entry and the file it is built from.
import { existsSync } from 'node:fs'
import { join } from 'node:path'

export const packages = ['client', 'react-flow']

export const entries = {
  client: ['index', 'indexeddb', 'msgpack', 'testing', 'devtools', 'fold'],
  'react-flow': ['index', 'suspense'],
}

/** The entries whose source is there: `{name: path}`. */
export function existing(folder, names) {
  const found = {}
  for (const name of names) {
    for (const extension of ['.ts', '.tsx']) {
      const path = join(folder, 'src', name + extension)
      if (existsSync(path)) found[name] = path
    }
  }
  return found
}
