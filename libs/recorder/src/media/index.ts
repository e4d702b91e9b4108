export { LevelMeter } from './level-meter.ts'
export { mixAudio, type AudioMix } from './mix-audio.ts'
export { type AudioLevel } from './audio-level.ts'
