import { defineConfig, mergeConfig } from 'vitest/config'
import base from './vitest.config.ts'

// Tests with the real server. They start it themselves: `cargo build` first, or name the binary in DAO_BINARY.
const { test: _, ...shared } = base
export default mergeConfig(
  shared,
  defineConfig({
    test: {
      include: ['packages/*/tests/server/**/*.test.ts'],
      execArgv: ['--experimental-websocket'],
      fileParallelism: false,
      testTimeout: 120_000,
    },
  }),
)
