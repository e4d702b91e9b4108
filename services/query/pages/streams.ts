/** Asks for what was chosen, the screen first: browsers allow that only right after a click. If one is refused, none stays open. */
export async function openStreams({ webcam, screen }: { webcam: boolean; screen: boolean }): Promise<Record<string, MediaStream>> {
  const streams: Record<string, MediaStream> = {}
  try {
    if (screen) streams['screen'] = await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: 15 } })
    if (webcam) {
      streams['webcam'] = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 }, height: { ideal: 720 } }, audio: true })
    }
    return streams
  } catch (error) {
    for (const stream of Object.values(streams)) release(stream)
    throw error
  }
}

export function release(stream: MediaStream): void {
  for (const track of stream.getTracks()) track.stop()
}
