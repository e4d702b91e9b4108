/**
 * @returns what `work` does, unless `signal` is aborted before; `work` goes on then, and has to look at the signal itself
 * @throws the signal's reason
 */
export async function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work
  let abort: () => void = () => undefined
  const aborted = new Promise<never>((_resolve, reject) => {
    abort = () => {
      if (signal.aborted) reject(signal.reason as Error)
    }
    signal.addEventListener('abort', abort)
    abort()
  })
  try {
    return await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
