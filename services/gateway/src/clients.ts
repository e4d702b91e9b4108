/** The connections of this gateway by session and client; of each client one, the newest. */
export class Clients<C extends { readonly session: string; readonly client: string }> {
  readonly #sessions = new Map<string, Map<string, C>>()
  readonly #all = new Set<C>()
  /** By session, those taken over included. */
  readonly #counts = new Map<string, number>()

  /** Returns the connection that it takes over from. That one is still among `all` until it is removed. */
  add(connection: C): C | undefined {
    const { session, client } = connection
    let clients = this.#sessions.get(session)
    if (clients === undefined) this.#sessions.set(session, (clients = new Map()))
    const before = clients.get(client)
    clients.set(client, connection)
    this.#all.add(connection)
    this.#counts.set(session, this.countOf(session) + 1)
    return before
  }

  /** Returns whether the client has no connection here any more. */
  remove(connection: C): boolean {
    if (this.#all.delete(connection)) {
      const left = this.countOf(connection.session) - 1
      if (left === 0) this.#counts.delete(connection.session)
      else this.#counts.set(connection.session, left)
    }
    const clients = this.#sessions.get(connection.session)
    if (clients?.get(connection.client) !== connection) return false
    clients.delete(connection.client)
    if (clients.size === 0) this.#sessions.delete(connection.session)
    return true
  }

  /** Connections of a session, those included that have been taken over and are about to end. */
  countOf(session: string): number {
    return this.#counts.get(session) ?? 0
  }

  find(session: string, client: string): C | undefined {
    return this.#sessions.get(session)?.get(client)
  }

  ofSession(session: string): C[] {
    return [...(this.#sessions.get(session)?.values() ?? [])]
  }

  /** Also those that have been taken over and are about to end. */
  get all(): ReadonlySet<C> {
    return this.#all
  }
}
