import { setTimeout as delay } from 'node:timers/promises'
import type { RecordingPage } from './browser-engine.ts'

/**
 * Resolves once the expression, evaluated in the page, is true; a promise is awaited. Unlike Playwright's `waitForFunction` it does not
 * evaluate text by the page's own means, which the pages' Content Security Policy forbids.
 * @throws after `timeoutMs`, with the expression
 */
export async function untilPage(page: Pick<RecordingPage, 'evaluate'>, expression: string, timeoutMs = 60_000): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (!(await page.evaluate<unknown>(expression))) {
    if (performance.now() > deadline) throw new Error(`not true in the page within ${timeoutMs} ms: ${expression}`)
    await delay(50)
  }
}
