import { FakeSocket } from './fake-socket.ts'
import { installMediaFakes } from './media-fakes.ts'

/** What a recorder needs of a page, beside IndexedDB. @returns what takes it back */
export function installFakePage(): () => void {
  const real = { WebSocket: globalThis.WebSocket, document: globalThis.document, isSecureContext: globalThis.isSecureContext }
  installMediaFakes()
  FakeSocket.all = []
  const page = Object.assign(new EventTarget(), { visibilityState: 'visible' })
  const [addEventListener, removeEventListener] = [page.addEventListener.bind(page), page.removeEventListener.bind(page)]
  Object.assign(globalThis, { WebSocket: FakeSocket, document: page, isSecureContext: true, addEventListener, removeEventListener })
  return () => Object.assign(globalThis, real)
}
