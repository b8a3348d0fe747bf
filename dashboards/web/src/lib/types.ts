// What the API answers with, as far as the pages use it. The whole description is /api/v1/openapi.json.

import type { OnPlan } from './plan/types';

export type SignalClass = 'fire' | 'supervisory' | 'trouble' | 'disabled' | 'test';
export type AlarmState = 'unacknowledged' | 'acknowledged' | 'returned_unacknowledged' | 'returned' | 'closed';
export type Stage = 'raised' | 'dispatched' | 'acknowledged' | 'on_the_way' | 'on_site' | 'resolved' | 'verified' | 'evaluated' | 'closed';
export type Quality = 'good' | 'uncertain' | 'bad';

export interface PersonRef { id: string; name: string }
export interface Signed { by: string; at: string; note: string | null }
export interface Held { how: 'suspended' | 'shelved' | 'suppressed' | 'out_of_service'; by: string; at: string; until: string; reason: string; window: string | null }

export interface Alarm {
  id: string;
  rule: string;
  class: SignalClass;
  text: string;
  state: AlarmState;
  stage: Stage;
  open: boolean;
  cell: { code: string; name: string; path: string[] };
  device: { id: string; name: string; place: string } | null;
  raised: string;
  late: { age_s: number | null } | null;
  trigger: { reading: string; metric: string; value: number; unit: string; device_time: string | null; received: string; freshness: string } | null;
  repeats: number;
  owner: PersonRef | null;
  acknowledged: Signed | null;
  joined: Signed[];
  need: number;
  on_the_way: Signed | null;
  on_site: Signed | null;
  returned: string | null;
  resolved: (Signed & { disposition: string; cause: string | null }) | null;
  verified: Signed | null;
  sent_back: Signed | null;
  evaluated: (Signed & { verdict: string }) | null;
  handed_over: Signed | null;
  held: Held | null;
  incident: string | null;
  closed: string | null;
  ladder: { name: string; steps_taken: number; climbing: boolean; next_at: string | null } | null;
  /** A drill goes the whole way and must never look like the real thing. */
  drill?: boolean;
}

export interface Entry { number: number; alarm: string; at: string; what: string; who: string | null; detail: string }
export interface AlarmChange { entry: Entry; alarm: Alarm }

export type Reached = 'queued' | 'accepted' | 'shown' | 'opened' | 'acknowledged';
export interface Attempt {
  at: string;
  channel: string;
  person: PersonRef | null;
  step: number;
  key: string;
  reached: Reached;
  shown: string | null;
  opened: string | null;
  attempt: number;
  outcome: 'delivered' | 'retry' | 'gave_up' | 'handed_on';
  detail: string;
  provider_id: string | null;
  handed_to: string | null;
}

export type Mark = 'good' | 'low' | 'very_low' | 'stale' | 'unknown';
export interface Household { people: number; help: string[]; contact: string; phone: string; neighbours: string }
export interface Card {
  cells: string[];
  place: string;
  position: [number, number] | null;
  building: { name: string; floors: number; basements: number; structure: string; staircases: number; lifts: number; note: string } | null;
  household: Household | null;
  hydrants: { id: string; name: string; place: string; metres: number | null; pressure_kpa: number | null; trend_kpa_per_min: number | null; mark: Mark }[];
  camera: { id: string; name: string; metres: number | null; still?: { id: string; at: string } | null } | null;
  plan?: OnPlan | null;
  nearby: { alarm: string; class: SignalClass; text: string; metres: number | null }[];
  record: { alarms: number; real: number; false_alarms: number; tests: number; faults: number };
  to_do: string[];
}

export interface AlarmDetail { alarm: Alarm; history: Entry[]; attempts: Attempt[]; card: Card | null }

export interface Value {
  metric: string;
  value: number;
  unit: string;
  flag: boolean;
  quality: Quality;
  time: string;
  received: string;
  freshness: string;
}

export interface Device {
  id: string;
  kind: string;
  name: string;
  place: string;
  address: string;
  cells: string[];
  position: [number, number] | null;
  online: boolean | null;
  last_seen: string | null;
  silent_after_s: number | null;
  registered: string;
  retired: boolean;
  values: Value[];
}

export interface Cell {
  code: string;
  name: string;
  scheme: string;
  kind: string;
  parent: string | null;
  path: string[];
  responsible: PersonRef | null;
  retired: boolean;
  geometry?: { type: string; coordinates: [number, number][][][] };
}

export interface ReadingEvent {
  device: string;
  time: string;
  received: string;
  freshness: string;
  values: { metric: string; value: number; unit: string; flag: boolean; quality: Quality }[];
}

export interface Me {
  name: string;
  person: PersonRef | null;
  roles: string[];
  cells: string[];
  must_change: boolean;
  read_only: boolean;
  by: string | null;
  rights: string[];
}
