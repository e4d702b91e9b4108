import { LATE_MS } from './clocks.ts'

/**
 * A page that stood still waits once more: the answer may have come meanwhile, and be read only after the timer.
 * @throws what `late` makes, when `work` takes longer than `ms` milliseconds; what becomes of it then nobody hears
 */
export async function inTime<T>(work: Promise<T>, ms: number, late: () => Error): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const begunAt = performance.now()
  const patience = new Promise<never>((_resolve, reject) => {
    const isOver = (): void => reject(late())
    timer = setTimeout(() => {
      if (performance.now() - begunAt - ms >= LATE_MS) timer = setTimeout(isOver, ms)
      else isOver()
    }, ms)
  })
  try {
    return await Promise.race([work, patience])
  } finally {
    clearTimeout(timer)
  }
}

/** What the work gives; `otherwise` where it fails, or takes longer than `ms` milliseconds. */
export async function inTimeOr<T, U>(work: Promise<T>, ms: number, otherwise: U): Promise<T | U> {
  try {
    return await inTime(work, ms, () => new Error('too late'))
  } catch {
    return otherwise
  }
}
