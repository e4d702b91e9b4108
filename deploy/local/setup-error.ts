/** Something about this machine must be changed first; `message` is one line that says what and how. */
export class SetupError extends Error {
  override readonly name = 'SetupError'
}
