// All figures as a table for a spreadsheet: the station, then each week, cell and person. Times in seconds.
import type { Row } from './Busiest.svelte';
import { perTenMinutes, type Answer, type Indicators, type Times } from './figures';

type Line = (string | number | null)[];
const HEAD = ['scope', 'of', 'alarms', 'alarms_per_10_min', 'peak_per_10_min', 'time_in_flood', 'high', 'medium', 'low', 'stale', ...['acknowledge', 'arrive', 'resolve'].flatMap((one) => [`${one}_count`, `${one}_median_s`, `${one}_nine_of_ten_s`])];

const seconds = (ms: number | null): number | null => (ms === null ? null : ms / 1000);
const times = (of: Times): Line => [of.count, seconds(of.median_ms), seconds(of.nine_of_ten_ms)];
const one = (scope: string, name: string, of: Indicators): Line => [scope, name, of.alarms, perTenMinutes(of), of.peak_per_10_min, of.time_in_flood, of.high, of.medium, of.low, of.stale, ...times(of.to_acknowledge), ...times(of.to_arrive), ...times(of.to_resolve)];

export function table({ from, to, all, chattering }: Answer, parts: { weeks: Row[]; cells: Row[]; people: Row[] }): Line[] {
  return [
    HEAD,
    one('station', `${from} – ${to}`, all),
    ...parts.weeks.map(({ name, of }) => one('week', name, of)),
    ...parts.cells.map(({ name, of }) => one('cell', name, of)),
    ...parts.people.map(({ name, of }) => one('person', name, of)),
    ...chattering.map(({ device, rule, within_a_minute }): Line => ['chattering', `${device} ${rule}`, within_a_minute]),
  ];
}
