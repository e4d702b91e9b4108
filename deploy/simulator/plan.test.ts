import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lastPageAt, type ClientPlan, type SessionPlan } from './plan.ts'

const client = (events: ClientPlan['events']): ClientPlan => ({
  joinsAt: 500,
  recordsMs: 10_000,
  chunkMs: 1000,
  chunkBytes: 200,
  keyframeChunks: 2,
  tracks: ['webcam'],
  events,
})
const session = (clients: ClientPlan[]): SessionPlan => ({
  id: 's',
  startsAt: 1000,
  end: 'client',
  clients,
  deletedAt: null,
  heldAt: null,
})

test('a run waits for a page that returns hours after every recording has ended', () => {
  const crash = { at: 3000, do: 'crash', backAfterMs: 10_800_000, goesOn: false } as const
  assert.equal(lastPageAt({ sessions: [session([client([])])] }), 11_500)
  assert.equal(lastPageAt({ sessions: [session([client([]), client([crash])])] }), 10_804_500)
})
