#!/usr/bin/env node
// Runs the program in the package of this platform. npm installed that with this one: nothing is downloaded here.
'use strict'
const { spawn } = require('node:child_process')

const platform = `${process.platform}-${process.arch}`
let program
try {
  program = require.resolve(`@dao-api/cli-${platform}/dao-api`)
} catch {
  console.error(
    `dao-api: the package @dao-api/cli-${platform} is not installed. Either there is none for this platform, or npm ran ` +
      'with --omit=optional: install it by name, or build the program from source.',
  )
  process.exit(1)
}
const child = spawn(program, process.argv.slice(2), { stdio: 'inherit' })
// What is sent to this process is passed on. Ctrl-C reaches both from a terminal, and the second of one is nothing new.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
child.on('error', (error) => {
  console.error(`dao-api: ${program} can't be started: ${error.message}`)
  process.exit(1)
})
child.on('exit', (code, signal) => {
  if (signal) {
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
  } else process.exit(code)
})
