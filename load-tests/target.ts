import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { SetupError } from '../deploy/local/setup-error.ts'
import { ROOT } from '../deploy/local/test-files.ts'

const env = (name: string): string | undefined => process.env[name] || undefined

/** The system to put load on: the one that is named, else the one that `npm start` runs here. */
export function target(): { url: string; apiKey: string } {
  const url = env('LONGTAKE_LOAD_URL') ?? env('LONGTAKE_QUERY_PUBLIC_URL') ?? `http://127.0.0.1:${env('LONGTAKE_QUERY_PORT') ?? 8080}`
  const given = env('LONGTAKE_API_KEY')
  if (given !== undefined) return { url, apiKey: given }
  const path = join(resolve(ROOT, env('LONGTAKE_LOCAL_DATA') ?? '.data'), 'keys.json')
  try {
    return { url, apiKey: (JSON.parse(readFileSync(path, 'utf8')) as { apiKey: string }).apiKey }
  } catch (error) {
    throw new SetupError(`there is no key: run \`npm start\` in another terminal (it makes ${path}), or set LONGTAKE_LOAD_URL and LONGTAKE_API_KEY.`, { cause: error })
  }
}
