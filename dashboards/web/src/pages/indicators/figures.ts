// What /api/v1/indicators answers, and how each figure stands against its target. Formulae and targets: docs/indicators.md.
import { length } from '../../lib/format';
import { words } from './words';

export interface Times { count: number; median_ms: number | null; nine_of_ten_ms: number | null }
export interface Indicators {
  alarms: number;
  alarms_per_hour: number;
  peak_per_10_min: number;
  time_in_flood: number;
  high: number;
  medium: number;
  low: number;
  stale: number;
  to_acknowledge: Times;
  to_arrive: Times;
  to_resolve: Times;
}
export interface Part { of: string; name: string | null; indicators: Indicators }
export interface Answer {
  from: string;
  to: string;
  all: Indicators;
  weeks: Part[];
  cells: Part[];
  people: Part[];
  chattering: { device: string; rule: string; within_a_minute: number }[];
  cut: boolean;
}

/** EEMUA 191: one in ten minutes in steady running; ISA-18.2: ten or fewer in the worst ten minutes, less than 1 % of the time in flood. */
export const PER_10_MIN_MAX = 1, PEAK_MAX = 10, FLOOD_MAX = 0.01, PRIORITIES = { high: 0.05, medium: 0.15, low: 0.8 } as const;
export type Priority = keyof typeof PRIORITIES;

const DAY_MS = 86_400_000, STALE_PER_DAY_MAX = 5;
export const perTenMinutes = (of: Indicators): number => of.alarms_per_hour / 6;
const stalePerDay = (of: Indicators, from: string, to: string): number => of.stale / Math.max((new Date(to).getTime() - new Date(from).getTime()) / DAY_MS, 1);

/** Two digits that matter. */
export const figure = (value: number): string => (String(Number(value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2))));
export const percent = (share: number): string => `${Number((share * 100).toFixed(share < 0.1 ? 1 : 0))} %`;

/** How long it took; a dash when there was none. */
export const span = (ms: number | null): string => (ms === null ? '–' : length(ms / 1000));

export interface Target { name: string; shown: string; target: string; good: boolean; note: string }
/** The station's figures with what they should be, as the page and the picture show them. */
export function targets({ all, chattering, from, to }: Answer): Target[] {
  const w = words(), stale = stalePerDay(all, from, to);
  return [
    { name: w.perTen, shown: figure(perTenMinutes(all)), target: `≤ ${PER_10_MIN_MAX}`, good: perTenMinutes(all) <= PER_10_MIN_MAX, note: `${w.alarms} ${all.alarms}` },
    { name: w.peak, shown: String(all.peak_per_10_min), target: `≤ ${PEAK_MAX}`, good: all.peak_per_10_min <= PEAK_MAX, note: '' },
    { name: w.flood, shown: percent(all.time_in_flood), target: `< ${percent(FLOOD_MAX)}`, good: all.time_in_flood < FLOOD_MAX, note: '' },
    { name: w.chattering, shown: String(chattering.length), target: '0', good: chattering.length === 0, note: '' },
    { name: w.stale, shown: figure(stale), target: `< ${STALE_PER_DAY_MAX}`, good: stale < STALE_PER_DAY_MAX, note: w.staleHint },
  ];
}
