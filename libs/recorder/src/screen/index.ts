export { ScreenShareError, shareEntireScreen, surfaceOf, watchSurface, type EntireScreenOptions, type ScreenShareErrorCode, type Surface } from './entire-screen.ts'
