import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { reportSetupError, untilStopped } from '../deploy/local/run.ts'
import { SetupError } from '../deploy/local/setup-error.ts'
import { ROOT } from '../deploy/local/test-files.ts'
import { findK6 } from './k6.ts'
import { readSettings } from './settings.ts'
import { target } from './target.ts'

const say = (line: string): void => console.log(`longtake: ${line}`)

async function checkTarget(url: string, apiKey: string): Promise<void> {
  const answer = await fetch(`${url}/v1/sessions?limit=1`, { headers: { authorization: `Bearer ${apiKey}` }, signal: AbortSignal.timeout(10_000) }).catch((cause: unknown) => {
    throw new SetupError(`nothing answers at ${url}: run \`npm start\` in another terminal, or set LONGTAKE_LOAD_URL and LONGTAKE_API_KEY.`, { cause })
  })
  if (answer.status === 401) throw new SetupError(`${url} does not take the key: set LONGTAKE_API_KEY to its own.`)
  if (!answer.ok) throw new SetupError(`${url} answers with ${answer.status} when asked for sessions.`)
}

async function main(): Promise<number> {
  const { settings, keep, profile } = readSettings(process.argv.slice(2))
  const { url, apiKey } = target()
  await checkTarget(url, apiKey)
  const k6 = await findK6(say)
  const values = Object.entries(settings).map(([name, value]) => [`LONGTAKE_LOAD_${name.toUpperCase().replaceAll('-', '_')}`, String(value)])
  say(`${profile}: ${settings.sessions} sessions, ${settings['at-once']} at once, ${settings.seconds} s each at ${settings.speed}× real time, on ${url}`)
  const child = spawn(k6, ['run', '--quiet', '--no-usage-report', join(ROOT, 'load-tests', 'recording.js')], {
    stdio: 'inherit',
    // A Ctrl-C is passed on once: at a second one k6 drops everything.
    detached: true,
    env: { ...process.env, ...Object.fromEntries(values), LONGTAKE_LOAD_URL: url, LONGTAKE_LOAD_KEEP: String(keep), LONGTAKE_API_KEY: apiKey },
  })
  void untilStopped().then(() => child.kill('SIGINT'))
  const [code] = (await once(child, 'close')) as [number | null]
  return code ?? 1
}

await main().then((code) => process.exit(code), reportSetupError)
