import type { DeclarationKind } from './wire-client.ts'

/** An `open`, `close`, `lost` or `finish` that was sent, until the server has answered that it is durable. */
export interface Declaration {
  of: DeclarationKind
  track?: string
  part?: string
  message: object
  durable: boolean
}

export class DeclarationLog {
  readonly #all: Declaration[] = []

  add(what: Pick<Declaration, 'of' | 'track' | 'part'>, message: object): Declaration {
    // There is one `open` per part: opening it again on another connection asks for a new answer.
    const again = what.of === 'open' ? this.#all.find((one) => one.of === 'open' && one.part === what.part) : undefined
    if (again !== undefined) return Object.assign(again, { message, durable: false })
    const declaration = { ...what, message, durable: false }
    this.#all.push(declaration)
    return declaration
  }

  /** Takes the server's `durable`; false when nothing of the kind was waiting for one. */
  settle(answer: { of: DeclarationKind; track?: string; part?: string }): boolean {
    const waiting = this.#all.find((one) => !one.durable && one.of === answer.of && one.part === answer.part && one.track === answer.track)
    if (waiting === undefined) return false
    waiting.durable = true
    return true
  }

  /** What must be said again on a new connection, besides opening the parts. */
  unsaid(): Declaration[] {
    return this.#all.filter(({ of, durable }) => !durable && of !== 'open')
  }
}
