const RULES: readonly [RegExp, string][] = [
  // Playback tokens travel as `?token=`, Azure signatures as `sig=`.
  [/([?&](?:token|access_token|sig)=)[^&\s"'\\]+/gi, '$1[redacted]'],
  [/\b(Bearer|SharedKey)(\s+)[^\s"',\\]+/gi, '$1$2[redacted]'],
  [/\b(AccountKey|SharedAccessSignature)=[^;\s"'\\]+/gi, '$1=[redacted]'],
  // A JWT by its looks: also catches the `bearer.<jwt>` WebSocket subprotocol.
  [/\beyJ[\w-]{5,}\.[\w-]+\.[\w-]*/g, '[redacted]'],
]

/** Takes tokens, keys and signatures out of any text that leaves the process as a log line or a span. */
export function redact(text: string): string {
  let clean = text
  for (const [pattern, replacement] of RULES) clean = clean.replace(pattern, replacement)
  return clean
}
