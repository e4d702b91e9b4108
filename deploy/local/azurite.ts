import { createRequire } from 'node:module'
import { join } from 'node:path'
import { mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { startChild, waitUntilReady, type Child } from './child.ts'
import { freePort } from './ports.ts'

const MAIN = createRequire(import.meta.url).resolve('azurite/dist/src/blob/main.js')
const DURABLE = fileURLToPath(new URL('azurite-durable.cjs', import.meta.url))
// The account that every Azurite has; its key is public.
const ACCOUNT = 'devstoreaccount1'
const KEY = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=='
const READY_WITHIN_MS = 60_000

export interface AzuriteOptions {
  /** Its state; a later start with the same folder goes on with it. */
  dataDir: string
  /** 0 or absent: a free one. */
  port?: number
  /** Default: `azurite.log` in `dataDir`. */
  logFile?: string
}

export interface RunningAzurite {
  readonly connectionString: string
  /** The blob endpoint with the account in it, without a slash at the end. */
  readonly url: string
  readonly pid: number
  /** The present process: another one after {@link restart}. */
  readonly child: Child
  stop(): Promise<void>
  /** SIGKILL, at once. What it has answered is kept, see azurite-durable.cjs. */
  kill(): void
  /** Starts it again at the same address with the same data. */
  restart(): Promise<void>
}

/** How to reach the Azurite that listens there, or a proxy that does in its place. */
export function azuriteConnection(port: number): string {
  return `DefaultEndpointsProtocol=http;AccountName=${ACCOUNT};AccountKey=${KEY};BlobEndpoint=http://127.0.0.1:${port}/${ACCOUNT};`
}

/** Starts Azurite's blob server as a process and resolves when it answers. */
export async function startAzurite(options: AzuriteOptions): Promise<RunningAzurite> {
  const port = options.port || (await freePort())
  const url = `http://127.0.0.1:${port}/${ACCOUNT}`
  const logFile = options.logFile ?? join(options.dataDir, 'azurite.log')
  mkdirSync(options.dataDir, { recursive: true })

  const launch = async (): Promise<Child> => {
    const child = await startChild({
      name: 'azurite',
      command: process.execPath,
      args: [
        '--require',
        DURABLE,
        MAIN,
        '--silent',
        '--disableTelemetry',
        '--skipApiVersionCheck',
        '--blobHost',
        '127.0.0.1',
        '--blobPort',
        String(port),
        '--location',
        options.dataDir,
      ],
      output: { file: logFile },
    })
    try {
      await waitUntilReady({ child, timeoutMs: READY_WITHIN_MS, logFile, check: () => answers(url) })
    } catch (error) {
      await child.stop(0)
      throw error
    }
    return child
  }

  let child = await launch()
  return {
    connectionString: azuriteConnection(port),
    url,
    get pid() {
      return child.pid
    },
    get child() {
      return child
    },
    stop: async () => {
      await child.stop()
    },
    kill: () => child.signal('SIGKILL'),
    restart: async () => {
      await child.stop()
      child = await launch()
    },
  }
}

/** Any answer will do, also the 403 that this unsigned request gets, if it is Azurite's. */
async function answers(url: string): Promise<void> {
  const response = await fetch(`${url}?comp=list`, { signal: AbortSignal.timeout(2000) })
  await response.arrayBuffer()
  const server = response.headers.get('server')
  if (!server?.startsWith('Azurite')) throw new Error(`another server (${server ?? 'nameless'}) answers at ${url}`)
}
