import type { FrameTap } from './frame-tap.ts'

/** A WebSocket of a page, as Playwright's `WebSocket`. */
export interface PageSocket {
  on(event: 'framesent' | 'framereceived', listener: (frame: { payload: string | Buffer }) => void): unknown
}

/** The part of Playwright's `Page` that recordings need; pages of other drivers are adapted to it. */
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

/** Pages that share storage with each other and with no other context. */
export interface RecordingContext {
  newPage(): Promise<RecordingPage>
  close(): Promise<void>
}

export interface RecordingBrowser extends RecordingContext {
  newContext(): Promise<RecordingContext>
}

/** A browser whose processes can all be killed at once, as by a power failure, a crash or the task manager. */
export interface MortalBrowser {
  context: RecordingContext
  kill: () => Promise<void>
}

/** A browser with synthetic camera, microphone and screen. */
export interface BrowserEngine {
  name: string
  /** Why its tests are skipped on this machine, or false. */
  missing: string | false
  /** Whether the driver does not report the frames of WebSockets, so that pages have to connect through a tap. */
  needsTap: boolean
  launch(tap: FrameTap): Promise<RecordingBrowser>
  /** @param profile folder of the browser's storage, which a later launch can use again */
  launchMortal(profile: string, tap: FrameTap): Promise<MortalBrowser>
}
