import { MAX_POLLING_BODY_BYTES, type WireErrorCode } from '@longtake/contracts'
import type { HttpResponse } from 'uWebSockets.js'
import type { Exchange, Refusal } from './polling-connection.ts'

/** More than any token needs. */
const MAX_HEAD_BYTES = 8 * 1024
const LINE_FEED = 0x0a
const STATUS_LINES: Readonly<Record<number, string>> = {
  200: '200 OK',
  400: '400 Bad Request',
  401: '401 Unauthorized',
  404: '404 Not Found',
  409: '409 Conflict',
  413: '413 Content Too Large',
  500: '500 Internal Server Error',
  503: '503 Service Unavailable',
}

/** What an operation makes of a request's body. Nothing is called once the request is answered. */
export interface BodyReader {
  /** Bytes behind the head, and their place there; they may be reused afterwards. */
  bytes?(offset: number, bytes: Uint8Array): void
  end(): void
}

/** One HTTP request of uWebSockets.js and its answer. */
export class PollingRequest implements Exchange {
  readonly #response: HttpResponse
  /** Answered, or aborted by the client. */
  #isOver = false
  #whenAborted: (() => void) | undefined

  constructor(response: HttpResponse) {
    this.#response = response
    response.onAborted(() => {
      this.#isOver = true
      this.#whenAborted?.()
    })
  }

  onAborted(whenAborted: () => void): void {
    this.#whenAborted = whenAborted
  }

  answer(status: number, body: string): void {
    this.#end(status, body, false)
  }

  /** Answers with an error and reads no more of the body. */
  refuse({
    status,
    code,
    message,
  }: {
    status: Refusal['status'] | 401 | 500
    code: WireErrorCode
    message: string
  }): undefined {
    this.#end(status, JSON.stringify({ code, message }), true)
  }

  /** Reads the head, asks for a reader, and hands over what follows as it arrives. */
  readBody(open: (head: object) => BodyReader | undefined): void {
    const head = new HeadParser()
    let reader: BodyReader | undefined
    let total = 0
    let offset = 0
    this.#response.onData((chunk, isLast) => {
      if (this.#isOver) return
      total += chunk.byteLength
      if (total > MAX_POLLING_BODY_BYTES) return this.refuse(TOO_LARGE)
      let bytes: Uint8Array = new Uint8Array(chunk)
      if (reader === undefined) {
        const parsed = head.parse(bytes, isLast)
        if (parsed === 'incomplete') return
        if (parsed === 'malformed') return this.refuse(NO_HEAD)
        reader = open(parsed.head)
        bytes = parsed.rest
      }
      if (bytes.length > 0 && !this.#isOver) reader?.bytes?.(offset, bytes)
      offset += bytes.length
      if (isLast && !this.#isOver) reader?.end()
    })
  }

  #end(status: number, body: string, closesConnection: boolean): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#response.cork(() => {
      this.#response
        .writeStatus(STATUS_LINES[status] ?? String(status))
        .writeHeader('content-type', 'text/plain; charset=utf-8')
        .writeHeader('cache-control', 'no-store')
        // No cookie is looked at, so there is nothing that a page of another origin could borrow.
        .writeHeader('access-control-allow-origin', '*')
        .end(body, closesConnection)
    })
  }
}

const TOO_LARGE = {
  status: 413,
  code: 'REC_TOO_LARGE',
  message: `a body has at most ${MAX_POLLING_BODY_BYTES} bytes`,
} as const
const NO_HEAD = { status: 400, code: 'REC_MALFORMED', message: 'the body does not begin with a line of JSON' } as const

/** The first line of a body that arrives in chunks. */
class HeadParser {
  #text = Buffer.alloc(0)

  parse(bytes: Uint8Array, isLast: boolean): { head: object; rest: Uint8Array } | 'incomplete' | 'malformed' {
    const lineFeed = bytes.indexOf(LINE_FEED)
    const end = lineFeed === -1 ? bytes.length : lineFeed
    if (this.#text.length + end > MAX_HEAD_BYTES) return 'malformed'
    this.#text = Buffer.concat([this.#text, bytes.subarray(0, end)])
    if (lineFeed === -1 && !isLast) return 'incomplete'
    try {
      const head: unknown = JSON.parse(this.#text.toString())
      return typeof head === 'object' && head !== null ? { head, rest: bytes.subarray(end + 1) } : 'malformed'
    } catch {
      return 'malformed'
    }
  }
}
