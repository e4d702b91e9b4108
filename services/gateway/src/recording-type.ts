const RECORDING_TYPE = /^(video|audio)\/(webm|x-matroska|mp4)\s*(;[ -~]*)?$/i

/** Whether a `MediaRecorder`'s MIME type, with or without codecs, is one that Longtake can store. It becomes a header of storage: printable ASCII only. */
export const isRecordingType = (mimeType: string): boolean => RECORDING_TYPE.test(mimeType)
