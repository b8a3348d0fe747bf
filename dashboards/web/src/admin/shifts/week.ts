// One week of duties on the screen: which bars a row has, and what a new shift is written as. Pure; minutes since Monday.
import { stretches, WEEK } from '../hours';

export interface Duty { cell: string; role: string; from: string; until: string | null; hours: string | null; now: boolean }
export interface Absence { from: string; until: string | null; stand_in: { id: string; name: string } | null; reason: string }
export interface Person { id: string; name: string; retired: boolean; duties: Duty[]; absences: Absence[]; version: number }
export interface Bar { person: Person; duty: Duty; from: number; until: number; lane: number }
export interface Gap { cell: string; from: string; until: string; covered_by: string | null }
export interface Stretch { from: number; until: number }

const MINUTE_MS = 60_000, DAYS = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'];
export const DAY = 1440;

export function mondayOf(at: Date): Date {
  return new Date(at.getFullYear(), at.getMonth(), at.getDate() - ((at.getDay() + 6) % 7));
}
export const weeksLater = (monday: Date, weeks: number): Date => new Date(monday.getFullYear(), monday.getMonth(), monday.getDate() + 7 * weeks);
export const isoDay = (at: Date): string => `${at.getFullYear()}-${String(at.getMonth() + 1).padStart(2, '0')}-${String(at.getDate()).padStart(2, '0')}`;

/** What of a time falls into the week; `null`: nothing. */
export function within(monday: Date, from: string, until: string | null): Stretch | null {
  const minute = (text: string): number => Math.min(Math.max((new Date(text).getTime() - monday.getTime()) / MINUTE_MS, 0), WEEK);
  const stretch = { from: minute(from), until: until === null ? WEEK : minute(until) };
  return stretch.from < stretch.until ? stretch : null;
}

/** The bars of each cell, those that meet one below the other. */
export function bars(people: Person[], monday: Date): Map<string, Bar[]> {
  const found = new Map<string, Bar[]>();
  for (const person of people) {
    for (const duty of person.duties) {
      const span = within(monday, duty.from, duty.until);
      if (!span) continue;
      const list = found.get(duty.cell) ?? [];
      const own = stretches(duty.hours).map(([from, until]) => ({ from: Math.max(from, span.from), until: Math.min(until, span.until) })).filter((one) => one.from < one.until);
      let lane = 0;
      while (own.some((one) => list.some((other) => other.lane === lane && one.from < other.until && other.from < one.until))) lane += 1;
      list.push(...own.map((one) => ({ person, duty, ...one, lane })));
      found.set(duty.cell, list);
    }
  }
  return found;
}

const time = (minute: number): string => `${String(Math.floor(minute / 60) % 24).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`;
export const clockOf = (minute: number): string => time(minute % DAY);

/** Such as `Mon-Fri 08:00-20:00`; all days around the clock is no hours at all. */
export function hoursText(days: boolean[], from: string, until: string, allDay: boolean): string {
  const named = DAYS.filter((_, at) => days[at]).join(',').replace('Mon,Tue,Wed,Thu,Fri', 'Mon-Fri').replace('Mon-Fri,Sat,Sun', 'Mon-Sun');
  if (allDay) return named === 'Mon-Sun' ? '' : named;
  return named === 'Mon-Sun' ? `${from}-${until}` : `${named} ${from}-${until}`;
}
