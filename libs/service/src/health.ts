/**
 * A named condition for being ready; `reason` says in plain words what is missing. With a reason and ready all the same, a
 * service does less than it should, and sending its callers elsewhere would not help them.
 */
export type Check = () => { ready: true; reason?: string } | { ready: false; reason: string }

export interface Readiness {
  ready: boolean
  checks: Record<string, { ready: boolean; reason?: string }>
}

/** The conditions under which a service can do its work. Checks are cheap and synchronous: they report known state. */
export class Health {
  readonly #checks = new Map<string, Check>()

  /** Adds a check; its name is unique within the service. Returns its removal. */
  add(name: string, check: Check): () => void {
    if (this.#checks.has(name)) throw new Error(`health check "${name}" exists already`)
    this.#checks.set(name, check)
    return () => this.#checks.delete(name)
  }

  readiness(): Readiness {
    const checks: Readiness['checks'] = {}
    for (const [name, check] of this.#checks) {
      try {
        checks[name] = check()
      } catch (error) {
        checks[name] = { ready: false, reason: `the check itself failed: ${String(error)}` }
      }
    }
    return { ready: Object.values(checks).every(({ ready }) => ready), checks }
  }
}
