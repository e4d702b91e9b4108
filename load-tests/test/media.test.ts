import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { StreamReader } from '@longtake/webm'

interface Media {
  chunks: ArrayBuffer[]
}

/** k6's own function to read a file, beside the script that calls it. */
Object.assign(globalThis, { open: (path: string) => Uint8Array.from(readFileSync(new URL(`../${path}`, import.meta.url))).buffer })
const script = new URL('../media.js', import.meta.url).href
const { MEDIA, endingOf } = (await import(script)) as { MEDIA: Record<string, Media>; endingOf: (media: Media, seq: number) => ArrayBuffer }

test('a part may end with any chunk and is a whole recording then', () => {
  for (const [track, media] of Object.entries(MEDIA)) {
    for (const seq of media.chunks.keys()) {
      const reader = new StreamReader()
      for (const chunk of [...media.chunks.slice(0, seq), endingOf(media, seq)]) reader.push(new Uint8Array(chunk))
      assert.equal(reader.tailLength, 0, `${track} that ends with chunk ${seq}`)
    }
  }
})
