// How times, lengths of time, values and places are written.
import type { Alarm, PersonRef, Value } from './types';
import { speech } from './words.svelte';

const UNITS: Record<string, string> = { Cel: '°C', '[ppm]': 'ppm', 'dB[mW]': 'dBm' }; // UCUM as people write it.
export const unitName = (unit: string): string => UNITS[unit] ?? unit;
export const metricName = (metric: string): string => speech.t.metric[metric] ?? metric.replaceAll('_', ' ');
export const line = (...parts: (string | number | null | undefined | false)[]): string => parts.filter((part) => part !== null && part !== undefined && part !== '' && part !== false).join(' · ');
export const named = (person: PersonRef | null): string => (person ? person.name || person.id : speech.t.nobody);
export const megapascal = (kpa: number): string => `${(kpa / 1000).toFixed(2)} MPa`;
export const placeOf = (alarm: Alarm): string => alarm.device?.place || alarm.cell.path.join(' › ') || alarm.cell.name || alarm.cell.code;

const two = (number: number): string => String(number).padStart(2, '0');
export const hms = (at: Date): string => `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;

/** The time of day; with the date when it is not today. */
export function clockTime(text: string | Date): string {
  const at = new Date(text);
  return new Date().toDateString() === at.toDateString() ? hms(at) : `${two(at.getMonth() + 1)}-${two(at.getDate())} ${hms(at)}`;
}

export function dateTime(text: string): string {
  const at = new Date(text);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}`;
}

/** Such as `12 min`: how long something has lasted. */
export function lasted(since: string, now: number): string {
  const { t } = speech, seconds = Math.max(0, Math.floor((now - new Date(since).getTime()) / 1000));
  if (seconds < 60) return `${seconds} ${t.seconds}`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 120) return `${minutes} ${t.minutes}`;
  return minutes < 48 * 60 ? `${Math.floor(minutes / 60)} ${t.hours}` : `${Math.floor(minutes / 1440)} ${t.days}`;
}

/** Such as `12 min ago`. */
export const ago = (since: string, now: number): string => speech.pick(`${lasted(since, now)}${speech.t.ago}`, `${lasted(since, now)} ${speech.t.ago}`);

/** Such as `2:05` or `1:10:00`. */
export function length(seconds: number): string {
  const whole = Math.round(seconds), hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** How long until something. */
export const countdown = (until: string, now: number): string => length(Math.max(0, Math.ceil((new Date(until).getTime() - now) / 1000)));

export function shown({ metric, value, unit, flag }: Pick<Value, 'metric' | 'value' | 'unit' | 'flag'>): string {
  if (flag) return value ? speech.t.yes : speech.t.no;
  if (metric === 'pressure' && unit === 'kPa') return `${Number(value.toFixed(1))} kPa`;
  return `${Number(value.toFixed(3))}${unit ? ` ${unitName(unit)}` : ''}`;
}

/** What a field of `<input type=datetime-local>` wants: local time. */
export function localInput(at: Date): string {
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
