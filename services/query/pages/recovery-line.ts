// oxlint-disable-next-line import/no-absolute-path -- the library's own bundle, at its address
import { recoverPending, type RecoveryOptions, type RecoveryProgress, type RecoveryReport } from '/pages/recorder/index.js'
import { ApiError, element, messageOf } from './access.ts'
import { openSession } from './session-access.ts'

/**
 * Uploads what earlier pages left on this computer, and says so in a line of the page.
 * @returns the session of the last recording that is uploaded and was not stopped, but interrupted; null if there is none
 */
export async function recoverEarlier(key: string): Promise<string | null> {
  const line = new RecoveryLine(element('recovery', HTMLParagraphElement))
  try {
    const reports = await recoverPending({
      access: accessWith(key),
      onProgress: (progress) => line.progressed(progress),
      onError: (error) => line.failed(error.message),
    })
    line.ended(reports)
    const interrupted = reports.filter(({ outcome, stopped }) => outcome === 'uploaded' && !stopped)
    return interrupted.toSorted((a, b) => a.startedAt - b.startedAt).at(-1)?.session ?? null
  } catch (error) {
    line.failed(messageOf(error))
    return null
  }
}

const accessWith = (key: string): RecoveryOptions['access'] => async ({ session }) => {
  try {
    const { spoolKey, url } = (await openSession(key, session)).ingest
    return { url, spoolKey, token: async () => (await openSession(key, session)).ingest.token }
  } catch (error) {
    if (!(error instanceof ApiError) || error.status >= 500) throw error
    return error.status === 410 ? 'discard' : null
  }
}

class RecoveryLine {
  readonly #line: HTMLParagraphElement
  readonly #progress = new Map<string, RecoveryProgress>()

  constructor(line: HTMLParagraphElement) {
    this.#line = line
  }

  progressed(progress: RecoveryProgress): void {
    this.#progress.set(progress.client, progress)
    const tracks = [...this.#progress.values()].flatMap((each) => Object.values(each.tracks))
    const [safe, all] = [tracks.reduce((sum, { acknowledged }) => sum + acknowledged.bytes, 0), tracks.reduce((sum, { recorded }) => sum + recorded.bytes, 0)]
    this.#show('uploading', `An earlier recording is being uploaded: ${all === 0 ? 100 : Math.floor((safe / all) * 100)} %`)
  }

  ended(reports: RecoveryReport[]): void {
    const left = reports.filter(({ outcome }) => outcome !== 'uploaded' && outcome !== 'discarded')
    if (left.length > 0) this.#show('left', 'An earlier recording could not be uploaded: it is kept on this computer')
    else if (reports.some(({ outcome }) => outcome === 'uploaded')) this.#show('uploaded', 'An earlier recording is uploaded: all that was kept of it is safe')
    else if (reports.length > 0) this.#show('uploaded', 'An earlier recording was deleted on the server: it is removed from this computer')
  }

  failed(words: string): void {
    this.#show('waiting', `An earlier recording is kept on this computer: ${words}`)
  }

  #show(name: 'uploading' | 'uploaded' | 'left' | 'waiting', words: string): void {
    this.#line.hidden = false
    this.#line.dataset['state'] = name
    if (this.#line.textContent !== words) this.#line.textContent = words
  }
}
