/** Of this tab only, and of its life: another tab has its own recording. */
const PLACE = 'longtake-recording'

/** The session that this tab was recording when its page was reloaded or crashed; null if it was stopped. */
export const interruptedSession = (): string | null => sessionStorage.getItem(PLACE)
export const rememberSession = (session: string): void => sessionStorage.setItem(PLACE, session)
export const forgetSession = (): void => sessionStorage.removeItem(PLACE)
