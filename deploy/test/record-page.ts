import { assertContent, checkSession, describeSummary, downloadSession } from '@longtake/testkit'
import type { TestContext } from 'node:test'
import type { PublicSession } from '@longtake/contracts'
import type { RecordingPage } from '../e2e/browser-engine.ts'
import { Eavesdropper } from '../e2e/eavesdropper.ts'
import { FrameTap } from '../e2e/frame-tap.ts'
import { TcpLine } from '../e2e/tcp-line.ts'
import { freePort } from '../local/ports.ts'
import type { System } from '../local/system.ts'
import { untilPage } from '../e2e/until-page.ts'
import { disposableSystem, finalized, RECORDING_SERVICES, untilStatus } from './sessions.ts'

/**
 * A system whose gateway is reached over a connection that can be cut, and by its own port at any time.
 * @param needsTap whether pages connect by way of the tap
 */
export async function systemOverLine({ needsTap = false }: { needsTap?: boolean } = {}): Promise<{ system: System; line: TcpLine; tap: FrameTap; gateway: number } & AsyncDisposable> {
  await using stack = new AsyncDisposableStack()
  const gateway = await freePort()
  const line = stack.use(await TcpLine.to(gateway))
  const tap = stack.use(await FrameTap.to(line.port))
  const { port } = needsTap ? tap : line
  const system = stack.use(await disposableSystem({ services: RECORDING_SERVICES, ports: { gateway }, env: { LONGTAKE_GATEWAY_PUBLIC_URL: `ws://127.0.0.1:${port}` } }))
  const scene = stack.move()
  return { system, line, tap, gateway, [Symbol.asyncDispose]: () => scene.disposeAsync() }
}

/** Presses Start on the record page; resolves when it has a session. */
export async function startRecording<P extends RecordingPage>({ queryUrl, apiKey }: System, context: { newPage(): Promise<P> }): Promise<{ page: P; recorder: Eavesdropper; session: string }> {
  const page = await context.newPage()
  const recorder = new Eavesdropper(page)
  await page.goto(`${queryUrl}/record#key=${apiKey}`)
  await page.click('#start')
  await page.waitForSelector('#state[data-session]')
  return { page, recorder, session: (await page.getAttribute('#state', 'data-session')) ?? '' }
}

export async function stopRecording(page: RecordingPage): Promise<void> {
  await page.click('#stop')
  await page.waitForSelector('#state[data-state=stopped]', { timeout: 60_000 })
}

/** Until this column of each track has at least (at most) so many chunks. */
export async function untilCells(page: RecordingPage, cell: 'acknowledged' | 'waiting', chunks: number, comparison: '>=' | '<=' = '>='): Promise<void> {
  const all = `[...document.querySelectorAll('[data-cell=${cell}]')]`
  await untilPage(page, `${all}.length > 0 && ${all}.every((cell) => Number(cell.dataset.chunks) ${comparison} ${chunks})`)
}

/** Waits for the final version and lets the checker compare it with what went over the line. */
export async function judge(t: TestContext, system: System, session: string, recorder: Pick<Eavesdropper, 'parts'>): Promise<PublicSession> {
  const status = await untilStatus(system, session, finalized)
  const verdict = checkSession({ session, finished: true, parts: recorder.parts, ...(await downloadSession(system.queryUrl, session, system.apiKey)) })
  assertContent(verdict.findings)
  t.diagnostic(describeSummary(verdict.summary))
  return status
}
