// What /api/v1/indicators answers, and how each figure stands against its target. Formulae and targets: docs/indicators.md.
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
export interface Part { of: string; indicators: Indicators }
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
export const PER_10_MIN_MAX = 1, PEAK_MAX = 10, FLOOD_MAX = 0.01, STALE_PER_DAY_MAX = 5, PRIORITIES = { high: 0.05, medium: 0.15, low: 0.8 } as const;
export type Priority = keyof typeof PRIORITIES;

const DAY_MS = 86_400_000;
export const perTenMinutes = (of: Indicators): number => of.alarms_per_hour / 6;
export const stalePerDay = (of: Indicators, from: string, to: string): number => of.stale / Math.max((new Date(to).getTime() - new Date(from).getTime()) / DAY_MS, 1);

/** Two digits that matter. */
export const figure = (value: number): string => (String(Number(value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2))));
export const percent = (share: number): string => `${Number((share * 100).toFixed(share < 0.1 ? 1 : 0))} %`;

/** Such as `2:05` or `1:10:00`; a dash when there was none. */
export function span(ms: number | null): string {
  if (ms === null) return '–';
  const seconds = Math.round(ms / 1000), two = (number: number): string => String(number).padStart(2, '0');
  const hours = Math.floor(seconds / 3600), minutes = Math.floor(seconds / 60) % 60;
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}
