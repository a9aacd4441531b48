/** One number with its name. */
import type { ReactNode } from 'react'

export function Figure({ name, value, children }: { name: string; value: string; children?: ReactNode }) {
  return (
    <div className="figure card">
      <span className="figure-name">{name}</span>
      <strong>{value}</strong>
      {children}
    </div>
  )
}
