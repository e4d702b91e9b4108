import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { findCommand, isExecutable } from '@longtake/testkit'
import { type Browser, chromium } from 'playwright-core'
import { cacheDir } from '../local/cache.ts'
import { SetupError } from '../local/setup-error.ts'
import type { BrowserEngine, MortalBrowser } from './browser-engine.ts'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome']
const MAC = '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome'
const HERE = dirname(fileURLToPath(import.meta.url))

interface ChromiumBinary {
  path: string
  /** What must be in its environment. */
  env: Record<string, string>
}

/**
 * The one of the package @sparticuz/chromium, whose version package-lock.json pins, so that a test gives the same result on every
 * machine; `CHROMIUM_PATH` names another, as a path or as a command of the PATH. Where the package has no binary (macOS, arm64), an
 * installed one.
 */
async function findChromium(): Promise<ChromiumBinary> {
  const named = process.env['CHROMIUM_PATH']
  if (named) {
    const path = named.includes('/') ? [named].find(isExecutable) : findCommand([named])
    if (path === undefined) throw new SetupError(`CHROMIUM_PATH is ${named}, which is no program: name an installed Chromium, or unset it.`)
    return { path, env: {} }
  }
  if (process.platform === 'linux' && process.arch === 'x64') return unpackPackaged()
  const installed = findCommand(NAMES) ?? [MAC].find(isExecutable)
  if (installed === undefined) throw new SetupError('No Chromium found: install Chromium or Chrome, or point CHROMIUM_PATH to one.')
  return { path: installed, env: {} }
}

const ARGUMENTS = [
  '--use-fake-device-for-media-stream',
  '--use-fake-ui-for-media-stream',
  '--auto-accept-this-tab-capture',
  '--autoplay-policy=no-user-gesture-required',
]

/** Chromium without a screen that grants camera, microphone and the capture of its own tab, all of them synthetic. */
export async function launchChromium(options: { args?: string[] } = {}): Promise<Browser> {
  const { path, env } = await findChromium()
  return chromium.launch({
    executablePath: path,
    env: { ...process.env, ...env },
    args: [...ARGUMENTS, ...(options.args ?? [])],
  })
}

export const CHROMIUM: BrowserEngine = {
  name: 'Chromium',
  missing: false,
  needsTap: false,
  launch: () => launchChromium(),
  launchMortal: launchMortalChromium,
}

/** Runs Chromium as a child process with its profile in `profile`. */
async function launchMortalChromium(profile: string): Promise<MortalBrowser> {
  const { path, env } = await findChromium()
  const args = ['--headless', '--no-sandbox', '--no-first-run', '--disable-gpu', '--remote-debugging-port=0', `--user-data-dir=${profile}`, ...ARGUMENTS, 'about:blank']
  // Detached, it leads a process group, to which all of its processes belong.
  const child = spawn(path, args, { env: { ...process.env, ...env }, detached: true, stdio: ['ignore', 'ignore', 'pipe'] })
  const gone = once(child, 'exit')
  const kill = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid!, 'SIGKILL')
    await gone
  }
  try {
    const browser = await chromium.connectOverCDP(await debuggerOf(child.stderr))
    return { context: browser.contexts()[0]!, kill }
  } catch (error) {
    await kill()
    throw error
  }
}

async function debuggerOf(output: Readable): Promise<string> {
  const said: string[] = []
  for await (const line of createInterface({ input: output })) {
    said.push(line)
    const [address] = /ws:\/\/\S+/.exec(line) ?? []
    if (address === undefined) continue
    output.resume()
    return address
  }
  throw new Error(`Chromium ended before it could be spoken to:\n${said.join('\n')}`)
}

async function unpackPackaged(): Promise<ChromiumBinary> {
  const target = join(cacheDir(), `chromium-${packagedVersion()}`)
  if (!existsSync(target)) {
    mkdirSync(cacheDir(), { recursive: true })
    const building = mkdtempSync(`${target}.building-`)
    try {
      // The package unpacks into the temporary folder of its process; on its home platform, which we claim to be,
      // also the libraries that a bare machine lacks (nss, nspr, expat).
      await promisify(execFile)(
        process.execPath,
        ['--input-type=module', '--eval', "import chromium from '@sparticuz/chromium'; await chromium.executablePath()"],
        {
          cwd: HERE,
          env: { ...process.env, TMPDIR: building, AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs24.x' },
        },
      )
      try {
        renameSync(building, target)
      } catch (error) {
        // Someone else was faster: theirs is as good.
        if (!existsSync(target)) throw error
      }
    } finally {
      rmSync(building, { recursive: true, force: true })
    }
  }
  const libraries = [join(target, 'al2023', 'lib'), process.env['LD_LIBRARY_PATH']].filter(Boolean).join(delimiter)
  return { path: join(target, 'chromium'), env: { LD_LIBRARY_PATH: libraries, FONTCONFIG_FILE: fontsOf(target) } }
}

/**
 * The package's own fonts.conf looks for fonts only where its home platform puts them. Without any font text is
 * invisible and of no size, and what has no size counts as hidden.
 */
function fontsOf(target: string): string {
  const path = join(target, 'fonts-unpacked.conf')
  if (!existsSync(path)) {
    const building = mkdtempSync(`${path}.building-`)
    const built = join(building, 'fonts.conf')
    writeFileSync(
      built,
      `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>${join(target, 'fonts')}</dir>
  <cachedir>${join(target, 'fonts-cache')}</cachedir>
</fontconfig>
`,
    )
    renameSync(built, path)
    rmSync(building, { recursive: true })
  }
  return path
}

function packagedVersion(): string {
  const directory = dirname(dirname(dirname(createRequire(import.meta.url).resolve('@sparticuz/chromium'))))
  const manifest = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as { version: string }
  return manifest.version
}
