import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

export default defineConfig({
  resolve: {
    alias: [
      { find: /^@dao-api\/client$/, replacement: at('packages/client/src/index.ts') },
      { find: /^@dao-api\/client\/(.*)$/, replacement: `${at('packages/client/src')}/$1.ts` },
      { find: /^@dao-api\/react-flow$/, replacement: at('packages/react-flow/src/index.ts') },
    ],
  },
  test: {
    include: ['packages/*/tests/**/*.test.{ts,tsx}'],
    // Tests with the real server or a browser run by themselves: `npm run test:server`, `npm run test:browser`.
    exclude: ['**/node_modules/**', 'packages/*/tests/server/**', 'packages/*/tests/browser/**'],
    maxWorkers: 2,
    // A machine that is busy with other tests is slow, not wrong.
    testTimeout: 60_000,
  },
})
