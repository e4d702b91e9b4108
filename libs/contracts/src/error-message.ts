/** What to log or show of anything that was thrown or rejected with: its message, or its text where it is no error. */
export const messageOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown))
