export { startRecorder, type Recorder } from './recorder.ts'
export {
  RECORDER_ERROR_CODES,
  RecorderError,
  type Amount,
  type ConnectionState,
  type RecorderErrorCode,
  type RecorderEvents,
  type RecorderOptions,
  type RecorderPhase,
  type RecorderProgress,
  type RecorderState,
  type Report,
  type TrackEnded,
  type TrackOptions,
  type TrackProgress,
} from './api.ts'
