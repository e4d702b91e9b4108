// Real chunks, as Chrome cut them. `open` works only while k6 loads the script, and gives each VU its own copy: about 1 MB.
const FOLDER = '../libs/testkit/fixtures/media'

const recording = (name, chunks, mimeType) => ({
  mimeType,
  chunks: Array.from({ length: chunks }, (_, seq) => open(`${FOLDER}/${name}/${String(seq).padStart(5, '0')}.bin`, 'b')),
})

/** One second of recording in each chunk; who wants to record longer begins again, as another part. */
export const MEDIA = {
  webcam: recording('chrome-webcam-vp9-opus', 20, 'video/webm;codecs=vp9,opus'),
  screen: recording('chrome-screen-vp9', 12, 'video/webm;codecs=vp9'),
}
