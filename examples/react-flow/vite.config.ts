import { fileURLToPath } from 'node:url'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

/** The dao-api server. The page talks to its own origin, which passes `/ws` and `/graphs` on. */
const server = process.env.DAO_URL ?? 'http://127.0.0.1:3000'
const sdk = (path: string): string => fileURLToPath(new URL(`../../sdk/packages/${path}`, import.meta.url))
const proxy = { '/ws': { target: server, ws: true }, '/graphs': { target: server } }

export default defineConfig({
  plugins: [react()],
  resolve: {
    // In this repository the example uses the SDK's sources. In yours, leave this out: npm has them.
    alias: [
      { find: /^@dao-api\/client$/, replacement: sdk('client/src/index.ts') },
      { find: /^@dao-api\/client\/(.*)$/, replacement: `${sdk('client/src')}/$1.ts` },
      { find: /^@dao-api\/react-flow$/, replacement: sdk('react-flow/src/index.ts') },
    ],
    dedupe: ['react', 'react-dom', '@xyflow/react'],
  },
  build: {
    rolldownOptions: {
      // The SDK in a file of its own, so that a profile says what is its. It needs React before itself.
      output: {
        codeSplitting: {
          includeDependenciesRecursively: false,
          groups: [
            { name: 'vendor', test: /node_modules/, priority: 1 },
            { name: 'sdk', test: /sdk\/packages\// },
          ],
        },
      },
    },
  },
  server: { proxy, strictPort: true, fs: { allow: ['../..'] } },
  preview: { proxy, strictPort: true },
})
