/**
 * In development Vite serves the console at /console/ and passes everything else to the server of DAO_API_URL.
 *
 * A build has relative addresses and names without hashes: the server serves `assets/` below a folder named by the hash of
 * the whole build, at any prefix.
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import react from '@vitejs/plugin-react'
import { defineConfig, type Plugin } from 'vite'

const target = process.env.DAO_API_URL ?? 'http://127.0.0.1:3000'
const sdk = (path: string): string => fileURLToPath(new URL(`../sdk/packages/${path}`, import.meta.url))
const proxy = { '^/(?!console(/|$))': { target, ws: true, xfwd: true } }

/** As the server does: the page for every address, with the way up to its assets. */
const deepPages: Plugin = {
  name: 'console-deep-pages',
  configurePreviewServer: ({ middlewares }) => {
    middlewares.use((asked, answer, next) => {
      const path = new URL(asked.url ?? '/', 'http://x').pathname
      if (!path.startsWith('/console/') || path.startsWith('/console/assets/')) return next()
      const page = readFileSync(new URL('dist/index.html', import.meta.url), 'utf8')
      answer.setHeader('Content-Type', 'text/html; charset=utf-8')
      answer.end(page.replaceAll('"./assets/', '"/console/assets/'))
    })
  },
}

export default defineConfig(({ command, isPreview }) => ({
  base: command === 'build' ? './' : '/console/',
  plugins: [react(), deepPages],
  resolve: {
    alias: [
      { find: /^@dao-api\/client$/, replacement: sdk('client/src/index.ts') },
      { find: /^@dao-api\/client\/(.*)$/, replacement: `${sdk('client/src')}/$1.ts` },
      { find: /^@dao-api\/react-flow$/, replacement: sdk('react-flow/src/index.ts') },
    ],
    dedupe: ['react', 'react-dom', '@xyflow/react'],
  },
  build: {
    target: 'es2022',
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    rolldownOptions: {
      output: {
        // React in a file of its own, and what draws and follows graphs in another: both seldom change. The small
        // screens that list things share one: they compress better together.
        codeSplitting: {
          includeDependenciesRecursively: false,
          groups: [
            { name: 'react', test: /node_modules\/(react|react-dom|scheduler|use-sync-external-store)\//, priority: 2 },
            { name: 'pages', test: /\/src\/(operations|subscriptions|system)\/\w+\.(tsx?|css)$/, priority: 1 },
            { name: 'flow', test: /node_modules\/(@xyflow|d3-|zustand|classcat)|sdk\/packages\//, priority: 1 },
          ],
        },
        entryFileNames: 'assets/app.js',
        chunkFileNames: 'assets/[name].js',
        assetFileNames: ({ names }) => (names[0] === 'index.css' ? 'assets/style.css' : 'assets/[name][extname]'),
      },
    },
  },
  server: { proxy, strictPort: true, fs: { allow: ['..'] } },
  ...(isPreview ? { preview: { proxy, strictPort: true } } : {}),
}))
