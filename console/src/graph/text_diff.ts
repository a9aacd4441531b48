/** The difference of two texts by words: the longest common subsequence (Myers 1986 in its simple form, by a table). */

export interface Piece {
  readonly kind: 'same' | 'removed' | 'added'
  readonly text: string
}

/** Above so many cells the table would be large: then the whole middle counts as replaced. */
const CELLS_MAX = 1_000_000

export function textDiff(before: string, after: string): Piece[] {
  const [a, b] = [wordsOf(before), wordsOf(after)]
  let start = 0
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1
  let end = 0
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end += 1
  const [left, right] = [a.slice(start, a.length - end), b.slice(start, b.length - end)]
  const pieces: Piece[] = []
  push(pieces, 'same', a.slice(0, start))
  if (left.length * right.length > CELLS_MAX) {
    push(pieces, 'removed', left)
    push(pieces, 'added', right)
  } else middle(pieces, left, right)
  push(pieces, 'same', a.slice(a.length - end))
  return pieces
}

function wordsOf(text: string): string[] {
  return text.match(/\s+|[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu) ?? []
}

function middle(pieces: Piece[], a: readonly string[], b: readonly string[]): void {
  const width = b.length + 1
  const lengths = new Uint32Array((a.length + 1) * width)
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      lengths[i * width + j] =
        a[i] === b[j]
          ? lengths[(i + 1) * width + j + 1]! + 1
          : Math.max(lengths[(i + 1) * width + j]!, lengths[i * width + j + 1]!)
    }
  }
  let [i, j] = [0, 0]
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      push(pieces, 'same', [a[i]!])
      i += 1
      j += 1
    } else if (j >= b.length || (i < a.length && lengths[(i + 1) * width + j]! >= lengths[i * width + j + 1]!)) {
      push(pieces, 'removed', [a[i]!])
      i += 1
    } else {
      push(pieces, 'added', [b[j]!])
      j += 1
    }
  }
}

function push(pieces: Piece[], kind: Piece['kind'], words: readonly string[]): void {
  if (words.length === 0) return
  const text = words.join('')
  const last = pieces[pieces.length - 1]
  if (last?.kind === kind) pieces[pieces.length - 1] = { kind, text: last.text + text }
  else pieces.push({ kind, text })
}
