// What the pages of this app do by hand: photos made small, places asked for once, the way of a deed into the queue.
import { queue } from './queue.svelte';
import { w } from './words';

const SIDE_MAX_PX = 1600, QUALITY = 0.8, FIND_ME_MS = 8_000;

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

/** Drawn anew, which also leaves out where it was taken. */
export async function smaller(file: File): Promise<Blob> {
  const picture = await createImageBitmap(file);
  const scale = Math.min(1, SIDE_MAX_PX / Math.max(picture.width, picture.height));
  const canvas = document.createElement('canvas');
  canvas.width = Math.round(picture.width * scale);
  canvas.height = Math.round(picture.height * scale);
  canvas.getContext('2d')!.drawImage(picture, 0, 0, canvas.width, canvas.height);
  return new Promise((give, fail) => canvas.toBlob((blob) => (blob ? give(blob) : fail(new Error('no picture'))), 'image/jpeg', QUALITY));
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
