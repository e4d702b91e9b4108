/** The connections of this gateway by session and client; of each client one, the newest. */
export class Clients<C extends { readonly session: string; readonly client: string }> {
  readonly #sessions = new Map<string, Map<string, C>>()
  readonly #all = new Set<C>()

  /** Returns the connection that it takes over from. That one is still among `all` until it is removed. */
  add(connection: C): C | undefined {
    const { session, client } = connection
    let clients = this.#sessions.get(session)
    if (clients === undefined) this.#sessions.set(session, (clients = new Map()))
    const before = clients.get(client)
    clients.set(client, connection)
    this.#all.add(connection)
    return before
  }

  /** Returns whether the client has no connection here any more. */
  remove(connection: C): boolean {
    this.#all.delete(connection)
    const clients = this.#sessions.get(connection.session)
    if (clients?.get(connection.client) !== connection) return false
    clients.delete(connection.client)
    if (clients.size === 0) this.#sessions.delete(connection.session)
    return true
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
