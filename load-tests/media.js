// Real chunks, as Chrome cut them. `open` works only while k6 loads the script, and gives each VU its own copy: about 1 MB.
const FOLDER = '../libs/testkit/fixtures/media'

const recording = (name, chunks, mimeType) => ({
  mimeType,
  chunks: Array.from({ length: chunks }, (_, seq) => open(`${FOLDER}/${name}/${String(seq).padStart(5, '0')}.bin`, 'b')),
})

const endings = new Map()

/**
 * The chunk as the last of its part. Chrome ends a chunk with the first byte of the next element: a part that stopped there would end
 * within a frame, and that is told as a gap. Always the same object, so that its digest is made once.
 */
export function endingOf({ chunks }, seq) {
  const payload = chunks[seq]
  if (seq === chunks.length - 1) return payload
  if (!endings.has(payload)) endings.set(payload, payload.slice(0, payload.byteLength - 1))
  return endings.get(payload)
}

/** One second of recording in each chunk; who wants to record longer begins again, as another part. */
export const MEDIA = {
  webcam: recording('chrome-webcam-vp9-opus', 20, 'video/webm;codecs=vp9,opus'),
  screen: recording('chrome-screen-vp9', 12, 'video/webm;codecs=vp9'),
}
