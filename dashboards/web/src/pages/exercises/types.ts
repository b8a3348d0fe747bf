// What /api/v1/drills and /api/v1/roll-calls answer.
import type { Alarm, PersonRef } from '../../lib/types';

export interface TakenPart { person: PersonRef | null; channels: string[]; called: string; to_acknowledge_s: number | null; to_arrive_s: number | null }
export interface Drill { alarm: Alarm; to_acknowledge_s: number | null; to_arrive_s: number | null; people: TakenPart[] }
export interface Asked { alarm: string; person: PersonRef; cell: { code: string; name: string }; came_to: string; answered_by: PersonRef | null; answered_after_s: number | null; steps_taken: number }
export interface RollCall { id: string; asked: string; by: string; people: Asked[] }

/** Such as `2:05`. */
export function took(seconds: number | null, never: string): string {
  if (seconds === null) return never;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}
