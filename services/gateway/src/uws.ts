import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

type Uws = typeof import('uWebSockets.js')

const require = createRequire(import.meta.url)

/** uWebSockets.js. Its messages' buffers die when the callback returns: copy before any `await`. */
export const uws: Uws = load()

function load(): Uws {
  try {
    return require('uWebSockets.js') as Uws
  } catch (cause) {
    if (!(cause instanceof Error) || !cause.message.includes("`GLIBC_2.38' not found")) throw cause
    return loadCopy(cause)
  }
}

/** On glibc 2.36 and 2.37 the package loads with a copy of its binary that `deploy/local/uws-glibc.ts` makes. */
function loadCopy(cause: Error): Uws {
  const binary = join(dirname(require.resolve('uWebSockets.js')), `uws_${process.platform}_${process.arch}_${process.versions.modules}.node`)
  const copy = binary.replace(/\.node$/, '.older-glibc.node')
  try {
    require(copy)
  } catch {
    throw new Error('uWebSockets.js needs glibc 2.38: run deploy/local/uws-glibc.ts once (npm start and npm test do) or use a newer system.', { cause })
  }
  // The package's own script, which adds to the binary, finds the copy where it looks for the original.
  require.cache[binary] = require.cache[copy]
  return require('uWebSockets.js') as Uws
}
