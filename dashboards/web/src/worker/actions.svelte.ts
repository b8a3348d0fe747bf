// What the pages of this app do by hand: places asked for once, the way of a deed into the queue, a word at the bottom of the screen.
import { queue } from './queue.svelte';
import { w } from './words';

const FIND_ME_MS = 8_000;

export const shown = $state({ said: '' });
let ends: ReturnType<typeof setTimeout> | undefined;

/** A word at the bottom of the screen, for a moment. */
export function say(text: string): void {
  clearTimeout(ends);
  shown.said = text;
  ends = setTimeout(() => (shown.said = ''), 4_000);
}

export async function act(name: string, path: string, body: unknown, more: Parameters<typeof queue.add>[3] = {}): Promise<string | null> {
  const key = await queue.add(name, path, body, more);
  say(key === null ? w().full : navigator.onLine ? '' : w().kept);
  return key;
}

export const attachTo = (alarm: string): string => `/api/v1/alarms/${encodeURIComponent(alarm)}/attachments`;

export const whereAmI = (): Promise<GeolocationPosition> =>
  new Promise((give, fail) => {
    if (!navigator.geolocation) fail(new Error('no position'));
    else navigator.geolocation.getCurrentPosition(give, fail, { enableHighAccuracy: true, timeout: FIND_ME_MS, maximumAge: 30_000 });
  });

/** Metres east and north of `from`; on the scale of a neighbourhood the earth is flat. */
export function metresFrom([lon, lat]: [number, number], [toLon, toLat]: [number, number]): [number, number] {
  const degree = 111_320;
  return [(toLon - lon) * Math.cos((lat * Math.PI) / 180) * degree, (toLat - lat) * degree];
}
