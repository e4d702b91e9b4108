/** A context that is allowed to run does so within milliseconds. */
const START_PATIENCE_MS = 2000

/**
 * An `AudioContext` that runs: a suspended one gives silence, without an error.
 * @throws DOMException `NotAllowedError` where the browser lets no audio run before the person has clicked
 */
export async function runningContext(): Promise<AudioContext> {
  const context = new AudioContext()
  let timer: ReturnType<typeof setTimeout> | undefined
  const patience = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, START_PATIENCE_MS)
  })
  // Without a click Chrome's `resume` stays pending, and Safari's rejects.
  await Promise.race([context.resume(), patience]).catch(() => undefined)
  clearTimeout(timer)
  if (context.state === 'running') return context
  await context.close()
  throw new DOMException('audio cannot run in this page until the person has clicked somewhere: call this from a click', 'NotAllowedError')
}
