import type { Report } from '../api.ts'

/** One with an id is kept until the server has it durably, and counts once there however often it is sent. */
export type OutgoingReport = Report & { id?: string }
export type SpooledReport = Report & { id: string }

export const MAX_REPORTS = 100
/** So many of those before it a connection sends at once, each other one when one is answered: the server limits their rate. */
export const REPORTS_AT_ONCE = 20
/** As the protocol allows; a longer one would end every connection. */
const MAX_DETAIL_CHARS = 1000

/** What the server does not have durably. Bounded: of too many the oldest are dropped, and a report in their place counts them. */
export class OutgoingReports {
  #reports: readonly OutgoingReport[] = []
  /** What this connection has not sent yet of those before it. */
  #unsent: OutgoingReport[] = []

  /** Those that outlive the page. */
  get spooled(): SpooledReport[] {
    return this.#reports.filter((report): report is SpooledReport => report.id !== undefined)
  }

  /** @returns the report as it is to be sent */
  add(report: OutgoingReport): OutgoingReport {
    const { detail } = report
    const added = detail === undefined ? report : { ...report, detail: detail.slice(0, MAX_DETAIL_CHARS) }
    const [first, , ...others] = [...this.#reports, added]
    if (first === undefined || others.length < MAX_REPORTS - 1) this.#reports = [...this.#reports, added]
    else {
      const dropped = first.event === 'reports-dropped' ? Number(first.detail) : 1
      this.#reports = [{ event: 'reports-dropped', detail: String(dropped + 1), at: first.at, id: crypto.randomUUID() }, ...others]
    }
    return added
  }

  /** @returns what is to be sent first on a new connection */
  connected(): OutgoingReport[] {
    this.#unsent = [...this.#reports]
    // Without an id nobody answers.
    this.#reports = this.spooled
    return this.#unsent.splice(0, REPORTS_AT_ONCE)
  }

  /** It is durable. @returns what is to be sent in its place */
  durable(id: string | undefined): OutgoingReport[] {
    this.#reports = this.#reports.filter((report) => report.id !== id)
    return this.#unsent.splice(0, 1)
  }

  clear(): void {
    this.#reports = []
  }
}
