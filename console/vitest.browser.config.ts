import { defineConfig } from 'vitest/config'

/** The console of the built server in Debian's Chromium: `npm run test:browser`. After `make console` the server is to be built again. */
export default defineConfig({
  test: {
    include: ['tests/browser/**/*.test.ts', 'tests/graph_browser/**/*.test.ts'],
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
})
