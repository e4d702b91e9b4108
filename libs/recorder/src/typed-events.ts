export type TypedListener<Detail> = ((event: CustomEvent<Detail>) => void) | { handleEvent(event: CustomEvent<Detail>): void }

export interface OnOptions {
  /** Ends it after the first event. */
  once?: boolean
  /** Ends it when aborted. */
  signal?: AbortSignal
}

/** An `EventTarget` whose events are `CustomEvent`s with a `detail` by their name. A listener that throws is reported like any uncaught error and stops nothing here. */
export class TypedEventTarget<Events> extends EventTarget {
  readonly #wrapped = new WeakMap<object, (event: Event) => void>()
  readonly #heard = new WeakSet<Event>()

  /** The `detail` of each such event. @returns ends it */
  on<K extends keyof Events & string>(type: K, listener: (detail: Events[K]) => void, options: OnOptions = {}): () => void {
    const listen = (event: CustomEvent<Events[K]>): void => listener(event.detail)
    this.addEventListener(type, listen, options)
    return () => this.removeEventListener(type, listen)
  }

  override addEventListener<K extends keyof Events & string>(type: K, listener: TypedListener<Events[K]> | null, options?: AddEventListenerOptions | boolean): void {
    super.addEventListener(type, this.#wrap(listener), options)
  }

  override removeEventListener<K extends keyof Events & string>(type: K, listener: TypedListener<Events[K]> | null, options?: EventListenerOptions | boolean): void {
    super.removeEventListener(type, this.#wrap(listener), options)
  }

  /** @returns whether anyone listened */
  protected emit<K extends keyof Events & string>(type: K, detail: Events[K]): boolean {
    const event = new CustomEvent(type, { detail })
    this.dispatchEvent(event)
    return this.#heard.has(event)
  }

  /** The same for the same listener, since an `EventTarget` knows listeners by their identity. */
  #wrap<Detail>(listener: TypedListener<Detail> | null): ((event: Event) => void) | null {
    if (listener === null) return null
    const wrapped = this.#wrapped.get(listener) ?? ((event: Event): void => this.#call(listener, event as CustomEvent<Detail>))
    this.#wrapped.set(listener, wrapped)
    // Where a signal aborts, Node removes what it was given: by the method of this class.
    this.#wrapped.set(wrapped, wrapped)
    return wrapped
  }

  #call<Detail>(listener: TypedListener<Detail>, event: CustomEvent<Detail>): void {
    this.#heard.add(event)
    try {
      if (typeof listener === 'function') listener.call(this, event)
      else listener.handleEvent(event)
    } catch (error) {
      reportError(error)
    }
  }
}
