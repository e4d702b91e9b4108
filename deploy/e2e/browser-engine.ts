import type { FrameTap } from './frame-tap.ts'

/** A WebSocket of a page, as Playwright's `WebSocket`. */
export interface PageSocket {
  on(event: 'framesent' | 'framereceived', listener: (frame: { payload: string | Buffer }) => void): unknown
}

/** What recordings need of a page. Playwright's `Page` has it; pages of other drivers are adapted to it. */
export interface RecordingPage {
  goto(url: string): Promise<unknown>
  reload(): Promise<unknown>
  /** Waits until the element is there and can be clicked. */
  click(selector: string): Promise<void>
  /** Waits until the element is visible. */
  waitForSelector(selector: string, options?: { timeout?: number }): Promise<unknown>
  getAttribute(selector: string, name: string): Promise<string | null>
  textContent(selector: string): Promise<string | null>
  evaluate<T>(expression: string): Promise<T>
  on(event: 'websocket', listener: (socket: PageSocket) => void): unknown
  close(): Promise<void>
}

/** Pages that share their storage, and share it with no other context. */
export interface RecordingContext {
  newPage(): Promise<RecordingPage>
  close(): Promise<void>
}

export interface RecordingBrowser extends RecordingContext {
  newContext(): Promise<RecordingContext>
}

/** A browser that ends as in a power failure, a crash or by the task manager: all its processes at once, without notice. */
export interface MortalBrowser {
  context: RecordingContext
  kill: () => Promise<void>
}

/** A browser of one maker, with synthetic camera, microphone and screen. */
export interface BrowserEngine {
  name: string
  /** Why its tests are skipped on this machine, or false. */
  missing: string | false
  /** Whether the driver cannot show the frames of WebSockets, so that pages have to connect by way of a tap. */
  needsTap: boolean
  launch(tap: FrameTap): Promise<RecordingBrowser>
  /** @param profile a folder that keeps what the browser stores, for another one to go on with */
  launchMortal(profile: string, tap: FrameTap): Promise<MortalBrowser>
}
