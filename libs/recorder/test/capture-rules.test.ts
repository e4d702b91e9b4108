import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { cut } from '../src/capture/cut.ts'
import { ingestUrlOf } from '../src/upload/ingest-url.ts'
import { chooseMimeType } from '../src/capture/media-type.ts'

describe('cutting what the browser hands over', () => {
  const bytes = new Uint8Array(2500).map((_, index) => index % 251)
  for (const [size, pieces] of [
    [0, []],
    [1, [1]],
    [999, [999]],
    [1000, [1000]],
    [1001, [1000, 1]],
    [2500, [1000, 1000, 500]],
  ] as const) {
    it(`${size} bytes give ${pieces.length} chunks, with every byte in its place`, async () => {
      const chunks = [...cut(new Blob([bytes.subarray(0, size)]), 1000)]
      assert.deepEqual(chunks.map((chunk) => chunk.size), pieces)
      assert.deepEqual(new Uint8Array(await new Blob(chunks).arrayBuffer()), bytes.subarray(0, size))
    })
  }
})

describe('the format', () => {
  const chrome = { isSupported: (type: string): boolean => /^(video|audio)\/webm/.test(type) || /^video\/mp4($|;codecs=avc3[.\w]*(,opus)?$)/.test(type), isWebKit: false }
  const firefox = { isSupported: (type: string): boolean => type.includes('webm') && !/vp9|av1/.test(type), isWebKit: false }
  const oldSafari = { isSupported: (type: string): boolean => type === 'video/mp4' || type === 'audio/mp4', isWebKit: true }
  const safari = { isSupported: (type: string): boolean => oldSafari.isSupported(type) || type.includes('webm'), isWebKit: true }
  const both = { video: true, audio: true }
  it('is VP9 and Opus where the browser can', () => {
    assert.equal(chooseMimeType(both, chrome), 'video/webm;codecs=vp9,opus')
    assert.equal(chooseMimeType({ video: true, audio: false }, chrome), 'video/webm;codecs=vp9')
    assert.equal(chooseMimeType({ video: false, audio: true }, chrome), 'audio/webm;codecs=opus')
  })
  it('else VP8, else MP4', () => {
    assert.equal(chooseMimeType(both, firefox), 'video/webm;codecs=vp8,opus')
    assert.equal(chooseMimeType({ video: true, audio: false }, oldSafari), 'video/mp4')
    assert.equal(chooseMimeType({ video: false, audio: true }, oldSafari), 'audio/mp4')
  })
  it('is MP4 in WebKit, which cannot seek in the WebM that it records since Safari 18.4, whatever is preferred', () => {
    assert.equal(chooseMimeType(both, safari), 'video/mp4')
    assert.equal(chooseMimeType({ video: false, audio: true }, safari), 'audio/mp4')
    for (const preferred of ['vp9', 'h264'] as const) assert.equal(chooseMimeType(both, safari, preferred), 'video/mp4')
    assert.equal(chooseMimeType(both, { ...firefox, isWebKit: true }), 'video/webm;codecs=vp8,opus', 'where it has no MP4, as WebKitGTK')
  })
  it('is the preferred one where the browser has it', () => {
    assert.equal(chooseMimeType(both, chrome, 'vp8'), 'video/webm;codecs=vp8,opus')
    assert.equal(chooseMimeType({ video: true, audio: false }, chrome, 'av1'), 'video/webm;codecs=av1')
    assert.equal(chooseMimeType({ video: false, audio: true }, chrome, 'av1'), 'audio/webm;codecs=opus')
    assert.equal(chooseMimeType(both, firefox, 'av1'), 'video/webm;codecs=vp8,opus')
  })
  it('describes H.264 with every keyframe, so that pictures may change their size', () => {
    assert.equal(chooseMimeType(both, chrome, 'h264'), 'video/mp4;codecs=avc3.42E01F,opus')
    const onlyMp4 = { isSupported: (type: string) => type.startsWith('video/mp4'), isWebKit: false }
    assert.equal(chooseMimeType({ video: true, audio: false }, onlyMp4), 'video/mp4;codecs=avc3.42E01F')
  })
  it('is none where the browser has none', () => assert.equal(chooseMimeType(both, { isSupported: () => false, isWebKit: true }, 'h264'), undefined))
})

describe('the ingest address', () => {
  const client = '11111111-1111-4111-8111-111111111111'
  it('names the session, and where this client connects', () => {
    assert.deepEqual(ingestUrlOf('ws://127.0.0.1:8081/v1/ingest/exam_7-b', client), { session: 'exam_7-b', url: `ws://127.0.0.1:8081/v1/ingest/exam_7-b?client=${client}` })
  })
  it('may lie behind a path, and be written as https', () => {
    assert.equal(ingestUrlOf('https://rec.example/in/v1/ingest/a', client).url, `wss://rec.example/in/v1/ingest/a?client=${client}`)
  })
  for (const wrong of ['', 'nonsense', 'ws://host/v1/ingest/', 'ws://host/v1/ingest/a/b', 'ws://host/v1/ingest/a%20b', 'ftp://host/v1/ingest/a']) {
    it(`${JSON.stringify(wrong)} is refused`, () => assert.throws(() => ingestUrlOf(wrong, client), { code: 'invalid-options' }))
  }
})
