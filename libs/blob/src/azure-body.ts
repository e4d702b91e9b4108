import { Readable } from 'node:stream'
import { LongtakeError } from '@longtake/contracts'
import { isTransient, TryTimeout } from './azure-errors.ts'

const MAX_RESUMES = 3

/**
 * The body of one read as a stream that outlives broken connections: asks `open` for the rest from where it broke off.
 * @param first the body of the first response
 * @param bytes how many bytes it must give in all
 * @param idleMs bound for the wait for each piece; a slow consumer does not count
 */
export function resumingBody(
  first: Readable,
  bytes: number,
  idleMs: number,
  options: { open: (alreadyRead: number) => Promise<Readable>; signal: AbortSignal | undefined; fail: (error: unknown) => Error },
): Readable {
  const { open, signal, fail } = options
  let source = guarded(first)
  let closed = false
  async function* pieces(): AsyncGenerator<Buffer> {
    let read = 0
    for (let resumes = 0; ; resumes++) {
      try {
        for await (const piece of withIdleBound(source, idleMs)) {
          read += piece.length
          yield piece
        }
        if (read === bytes) return
        throw new LongtakeError('BLOB_UNAVAILABLE', `a body ended after ${read} of ${bytes} bytes`)
      } catch (error) {
        signal?.throwIfAborted()
        if (closed || resumes >= MAX_RESUMES || read >= bytes || !isBreak(error)) throw fail(error)
      }
      source = guarded(await open(read))
    }
  }
  const iterator = pieces()
  return new Readable({
    read() {
      iterator.next().then(
        ({ done, value }) => this.push(done ? null : value),
        (error: Error) => this.destroy(error),
      )
    },
    // Not `Readable.from`: that would wait for the piece being read, however long it takes, before letting go.
    destroy(error, callback) {
      closed = true
      source.destroy()
      callback(error)
    },
  })
}

/** A connection may break while nobody reads: without a listener that error would end the process. The iterator reports it later. */
const guarded = (source: Readable): Readable => source.on('error', () => {})

async function* withIdleBound(source: Readable, idleMs: number): AsyncGenerator<Buffer> {
  const iterator = source[Symbol.asyncIterator]()
  try {
    for (;;) {
      let timer: NodeJS.Timeout | undefined
      const idle = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new TryTimeout(`no data for ${idleMs} ms`)), idleMs)
      })
      const next = await Promise.race([iterator.next(), idle]).finally(() => clearTimeout(timer))
      if (next.done) return
      yield next.value as Buffer
    }
  } finally {
    source.destroy()
  }
}

/** A connection that broke (the stream's own errors carry Node's codes) or fell silent. */
function isBreak(error: unknown): boolean {
  if (isTransient(error) || (error instanceof LongtakeError && error.retryable)) return true
  return error instanceof Error && (error.name === 'AbortError' || 'code' in error)
}
