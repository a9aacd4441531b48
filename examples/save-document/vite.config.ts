import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

/** The dao-api server. The page talks to its own origin, which passes `/graphs` on. */
const proxy = { '/graphs': { target: process.env.DAO_URL ?? 'http://127.0.0.1:3000' } }

export default defineConfig({
  plugins: [react()],
  server: { proxy, strictPort: true },
  preview: { proxy, strictPort: true },
})
