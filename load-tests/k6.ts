import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { findCommand } from '@longtake/testkit'
import { cacheDir } from '../deploy/local/cache.ts'
import { SetupError } from '../deploy/local/setup-error.ts'

const MODULE = 'go.k6.io/k6@latest'

/** Path of k6: the one on PATH, else one that is built by Go, once, into the cache. */
export async function findK6(log: (line: string) => void): Promise<string> {
  const bin = join(cacheDir(), 'bin')
  const found = findCommand([process.platform === 'win32' ? 'k6.exe' : 'k6'], [bin])
  if (found !== undefined) return found
  if (spawnSync('go', ['version']).status !== 0) {
    throw new SetupError('k6 is not on PATH, and neither is Go to build it with: install k6 (https://grafana.com/docs/k6/latest/set-up/install-k6/) or Go.')
  }
  log(`building k6 (go install ${MODULE}) into ${bin}: this takes some minutes, once …`)
  mkdirSync(bin, { recursive: true })
  const build = spawn('go', ['install', MODULE], { env: { ...process.env, GOBIN: bin }, stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  build.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-4000)
  })
  const [code] = (await once(build, 'close')) as [number | null]
  if (code === 0) return findK6(log)
  throw new SetupError(`k6 could not be built by \`GOBIN=${bin} go install ${MODULE}\`: ${said.trim().split('\n').at(-1)}`)
}
