/** Message of a thrown value, for logs and pages; of a value that is no `Error`, its text. */
export const messageOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown))
