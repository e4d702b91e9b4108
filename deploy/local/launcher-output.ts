import { LogFolding } from './log-folding.ts'
import { renderLogLine, renderRepetition } from './log-lines.ts'

/** Writes the services' lines to the terminal; repetitions as counts. Their files have every line. */
export class LauncherOutput {
  readonly #folding = new LogFolding()

  constructor() {
    setInterval(() => {
      for (const repetition of this.#folding.takeEnded(performance.now())) console.log(renderRepetition(repetition))
    }, 1000).unref()
  }

  line(service: string, text: string): void {
    if (this.#folding.add(service, text, performance.now())) console.log(renderLogLine(service, text))
  }
}
