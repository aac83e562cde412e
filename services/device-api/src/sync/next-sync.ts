import {hash} from 'node:crypto';

export interface SyncWindow {
  /** HH:MM in UTC. */
  readonly start: string;
  readonly durationMinutes: number;
}

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
/** A device that just synced shortly before its phase skips it: it would come twice within the hour. */
const SHORTEST_WAIT_MS = 60 * MINUTE_MS;

/** A device's place in the window, 0 to 1: fixed, and evenly spread over devices. */
export const phaseOf = (deviceId: string): number =>
  Number.parseInt(hash('sha256', `phase:${deviceId}`, 'hex').slice(0, 8), 16) / 2 ** 32;

/**
 * When a device should sync next: its own fixed moment in the region's daily window, at least an hour away. A fixed phase
 * spreads a fleet for ever; one relative to the last sync would keep a herd together.
 * @returns milliseconds since 1970.
 */
export const nextSyncAt = (nowMs: number, {start, durationMinutes}: SyncWindow, phase: number): number => {
  const [hours = 0, minutes = 0] = start.split(':').map(Number);
  const today = Math.floor(nowMs / DAY_MS) * DAY_MS;
  const offset = (hours * 60 + minutes) * MINUTE_MS + Math.floor(phase * durationMinutes * MINUTE_MS);
  // The window may reach into the next day, so yesterday's may still lie ahead.
  let at = today - DAY_MS + offset;
  while (at < nowMs + SHORTEST_WAIT_MS) at += DAY_MS;
  return at;
};
