import { findCommand } from '@longtake/testkit'
import puppeteer, { type Browser, type BrowserContext, type Page } from 'puppeteer-core'
import type { BrowserEngine, MortalBrowser, PageSocket, RecordingBrowser, RecordingContext, RecordingPage } from './browser-engine.ts'
import type { FrameTap } from './frame-tap.ts'

const PREFERENCES = {
  'media.navigator.streams.fake': true,
  'media.navigator.permission.disabled': true,
  'media.autoplay.default': 0,
}
/** The default of Playwright. */
const TIMEOUT_MS = 30_000

/**
 * The installed Firefox, driven by Puppeteer over WebDriver BiDi: Playwright drives only its own builds of Firefox,
 * which no package registry has. `FIREFOX_PATH` selects another one than the first on the PATH.
 */
export const FIREFOX: BrowserEngine = {
  name: 'Firefox',
  missing: findFirefox() === undefined && 'no Firefox is installed (in Debian the package firefox-esr), and FIREFOX_PATH names none',
  needsTap: true,
  launch: async (tap) => adaptBrowser(await launchFirefox(), tap),
  launchMortal: launchMortalFirefox,
}

function findFirefox(): string | undefined {
  return process.env['FIREFOX_PATH'] ?? findCommand(['firefox', 'firefox-esr'])
}

function launchFirefox(profile?: string): Promise<Browser> {
  return puppeteer.launch({
    browser: 'firefox',
    executablePath: findFirefox() ?? '',
    extraPrefsFirefox: PREFERENCES,
    ...(profile === undefined ? {} : { userDataDir: profile }),
  })
}

async function launchMortalFirefox(profile: string, tap: FrameTap): Promise<MortalBrowser> {
  const browser = await launchFirefox(profile)
  const child = browser.process()!
  const gone = new Promise((resolve) => child.once('exit', resolve))
  const kill = async (): Promise<void> => {
    // It leads a process group, to which all of its processes belong.
    if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid!, 'SIGKILL')
    await gone
  }
  return { context: adaptContext(browser.defaultBrowserContext(), tap), kill }
}

function adaptBrowser(browser: Browser, tap: FrameTap): RecordingBrowser {
  return {
    newContext: async () => adaptContext(await browser.createBrowserContext(), tap),
    newPage: async () => adaptContext(await browser.createBrowserContext(), tap).newPage(),
    close: () => browser.close(),
  }
}

function adaptContext(context: BrowserContext, tap: FrameTap): RecordingContext {
  return {
    async newPage() {
      const page = await context.newPage()
      page.setDefaultTimeout(TIMEOUT_MS)
      // Playwright skips `beforeunload` dialogs; here such a dialog blocks until it is answered.
      page.on('dialog', (dialog) => void dialog.accept())
      await page.evaluateOnNewDocument(FAKE_SCREEN)
      return new FirefoxPage(page, tap)
    },
    close: () => context.close(),
  }
}

class FirefoxPage implements RecordingPage {
  readonly #page: Page
  readonly #tap: FrameTap
  readonly #ends: (() => void)[] = []

  constructor(page: Page, tap: FrameTap) {
    this.#page = page
    this.#tap = tap
  }

  goto(url: string): Promise<unknown> {
    return this.#page.goto(url)
  }

  reload(): Promise<unknown> {
    return this.#page.reload()
  }

  async click(selector: string): Promise<void> {
    // A page in the background draws nothing, so the locator would wait without end for the element to stop moving.
    await this.#page.bringToFront()
    await this.#page.locator(selector).click()
  }

  waitForSelector(selector: string, { timeout = TIMEOUT_MS }: { timeout?: number } = {}): Promise<unknown> {
    return this.#page.waitForSelector(selector, { visible: true, timeout })
  }

  async getAttribute(selector: string, name: string): Promise<string | null> {
    await this.#page.waitForSelector(selector)
    return (await this.#page.evaluate(`document.querySelector(${JSON.stringify(selector)}).getAttribute(${JSON.stringify(name)})`)) as string | null
  }

  async textContent(selector: string): Promise<string | null> {
    await this.#page.waitForSelector(selector)
    return (await this.#page.evaluate(`document.querySelector(${JSON.stringify(selector)}).textContent`)) as string | null
  }

  async evaluate<T>(expression: string): Promise<T> {
    return (await this.#page.evaluate(expression)) as T
  }

  on(_event: 'websocket', listener: (socket: PageSocket) => void): void {
    this.#ends.push(this.#tap.onSocket(listener))
  }

  async close(): Promise<void> {
    for (const end of this.#ends) end()
    await this.#page.close()
  }
}

/**
 * Firefox has a synthetic camera and microphone, but no synthetic screen, and without a display no screen at all. Runs
 * in the page, hence as text.
 */
const FAKE_SCREEN = `navigator.mediaDevices.getDisplayMedia = async () => {
  const canvas = Object.assign(document.createElement('canvas'), { width: 1280, height: 720 })
  const context = canvas.getContext('2d')
  const stream = canvas.captureStream(15)
  const drawing = setInterval(() => {
    if (stream.getVideoTracks()[0].readyState === 'ended') return clearInterval(drawing)
    context.fillStyle = 'white'
    context.fillRect(0, 0, 1280, 720)
    context.fillStyle = 'black'
    context.font = '120px sans-serif'
    context.fillText(String(Math.round(performance.now())), 200, 400)
  }, 66)
  return stream
}`
