// What /api/v1/drills, /api/v1/roll-calls and /api/v1/practice answer.
import type { Alarm, PersonRef } from '../../lib/types';
import type { Times } from '../indicators/figures';

export interface TakenPart { person: PersonRef | null; channels: string[]; called: string; to_acknowledge_s: number | null; to_arrive_s: number | null }
export interface Drill { alarm: Alarm; to_acknowledge_s: number | null; to_arrive_s: number | null; people: TakenPart[] }
export interface Asked { alarm: string; person: PersonRef; cell: { code: string; name: string }; came_to: string; answered_by: PersonRef | null; answered_after_s: number | null; steps_taken: number }
export interface RollCall { id: string; asked: string; by: string; people: Asked[] }

export interface Practice {
  drills: { called: number; others_were_first: number; to_acknowledge: Times; to_arrive: Times };
  roll_calls: { asked: number; answered_by_another: number; unanswered: number; to_answer: Times };
}
export interface PersonPractice { person: PersonRef; all: Practice; months: { month: string; practice: Practice }[] }
