import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const sdk = (path: string): string => fileURLToPath(new URL(`../sdk/packages/${path}`, import.meta.url))

/** Pure modules, without a browser: `npm test`. */
export default defineConfig({
  resolve: {
    alias: [
      { find: /^@dao-api\/client$/, replacement: sdk('client/src/index.ts') },
      { find: /^@dao-api\/client\/(.*)$/, replacement: `${sdk('client/src')}/$1.ts` },
    ],
  },
  test: { include: ['tests/**/*.test.ts'], exclude: ['tests/browser/**', 'tests/graph_browser/**'] },
})
