// What the pages must know of alarms: which matter most, and what may be done about one.
//
// The gateway alone decides what is allowed; the table of deeds only keeps away what makes no sense now.
import type { Alarm, Me, Signed, SignalClass } from './types';

export const CLASSES: readonly SignalClass[] = ['fire', 'supervisory', 'trouble', 'disabled', 'test']; // Worst first.
const RANK = Object.fromEntries(CLASSES.map((one, rank) => [one, rank])) as Record<SignalClass, number>;

export const number = (alarm: Alarm): number => Number(alarm.id.slice(2));
export const newestFirst = (a: Alarm, b: Alarm): number => number(b) - number(a);
export const unanswered = (alarm: Alarm): boolean => alarm.state === 'unacknowledged' || alarm.state === 'returned_unacknowledged';
/** Somebody must come: it is not put off, and it is of a class for which people are called, or a drill, which is of class test and calls as the real one would. */
export const calls = (alarm: Alarm): boolean => unanswered(alarm) && alarm.held === null && (alarm.drill === true || RANK[alarm.class] <= RANK.trouble);
export const worst = (alarms: Iterable<Alarm>): SignalClass | null => {
  let found: SignalClass | null = null;
  for (const alarm of alarms) if (found === null || RANK[alarm.class] < RANK[found]) found = alarm.class;
  return found;
};

/** First what nobody has answered, the real before the drill, the worse class before the other; then what is in hand, what is put off, what is closed. */
export function inOrder(a: Alarm, b: Alarm): number {
  const group = (alarm: Alarm): number => (!alarm.open ? 3 : alarm.held ? 2 : unanswered(alarm) ? 0 : 1);
  if (group(a) === 3 && group(b) === 3) return newestFirst(a, b);
  return group(a) - group(b) || Number(a.drill ?? false) - Number(b.drill ?? false) || RANK[a.class] - RANK[b.class] || newestFirst(a, b);
}

export type Field = 'note' | 'reason' | 'until' | 'disposition' | 'cause' | 'verdict';
export const DISPOSITIONS = ['real_fire', 'false_alarm', 'test', 'device_fault', 'hazard_removed', 'handed_over'] as const;
export const CAUSES = ['cooking', 'steam', 'dust', 'insects', 'smoking', 'other'] as const;
export const VERDICTS = ['true', 'false', 'nuisance', 'missed'] as const;

export type DeedName = 'end' | 'resume' | 'unshelve' | 'acknowledge' | 'on_the_way' | 'on_site' | 'resolve' | 'verify' | 'return' | 'hand_over' | 'suspend' | 'shelve' | 'evaluate';
export interface Deed {
  name: DeedName;
  right: 'handle' | 'verify';
  /** Fields of its form; without them one tap does it. */
  asks?: Field[];
  also?: Record<string, unknown>;
  /** Shown under “more”. */
  more?: boolean;
  ahead_h?: number;
  fits: (alarm: Alarm, who: string | undefined) => boolean;
}

const underWay = (alarm: Alarm): boolean => alarm.open && !alarm.resolved && alarm.held?.how !== 'out_of_service';
const resolved = (alarm: Alarm): boolean => alarm.open && alarm.resolved !== null;
const held = (how: string) => (alarm: Alarm): boolean => alarm.open && alarm.held?.how === how;
export const signed = (alarm: Alarm): Signed[] => [alarm.acknowledged, ...alarm.joined].filter((one) => one !== null);

/** In the order in which they are offered; the first is the big one. */
const DEEDS: Deed[] = [
  { name: 'end', right: 'handle', fits: held('out_of_service') },
  { name: 'resume', right: 'handle', fits: held('suspended') },
  { name: 'unshelve', right: 'handle', fits: held('shelved') },
  { name: 'acknowledge', right: 'handle',
    fits: (alarm, who) => underWay(alarm) && signed(alarm).length < alarm.need && !signed(alarm).some((one) => one.by === who) },
  { name: 'on_the_way', right: 'handle', fits: (alarm, who) => underWay(alarm) && !alarm.on_site && (alarm.on_the_way === null || alarm.on_the_way.by !== who) },
  { name: 'on_site', right: 'handle', fits: (alarm, who) => underWay(alarm) && alarm.acknowledged !== null && (alarm.on_site === null || alarm.on_site.by !== who) },
  { name: 'resolve', right: 'handle', asks: ['disposition', 'cause', 'note'], fits: (alarm) => underWay(alarm) && alarm.acknowledged !== null },
  { name: 'verify', right: 'verify', asks: ['note'], fits: (alarm) => resolved(alarm) && !alarm.verified },
  { name: 'return', right: 'verify', asks: ['reason'], fits: (alarm) => resolved(alarm) && !alarm.verified },
  { name: 'hand_over', right: 'handle', asks: ['reason'], also: { up: true }, fits: underWay },
  { name: 'suspend', right: 'handle', more: true, asks: ['until', 'reason'], ahead_h: 7 * 24,
    fits: (alarm) => underWay(alarm) && alarm.acknowledged !== null && !alarm.held && !(alarm.class === 'fire' && alarm.state !== 'returned') },
  { name: 'shelve', right: 'handle', more: true, asks: ['until', 'reason'], ahead_h: 8, fits: (alarm) => underWay(alarm) && !alarm.held && alarm.class !== 'fire' },
  { name: 'evaluate', right: 'verify', more: true, asks: ['verdict', 'note'], fits: resolved },
];

/** Under which name the account acts. */
export const actsAs = (me: Me | null): string | undefined => me?.person?.id ?? me?.name;

export function offered(alarm: Alarm, me: Me | null): Deed[] {
  const who = actsAs(me);
  const may = (right: string): boolean => !me || (!me.read_only && (me.rights.includes(right) || (right === 'handle' && alarm.owner?.id === who)));
  return DEEDS.filter((deed) => deed.fits(alarm, who) && may(deed.right));
}

export const pathOf = (alarm: string, deed: DeedName): string =>
  deed === 'end' ? `/api/v1/maintenance/${encodeURIComponent(alarm)}/end` : `/api/v1/alarms/${encodeURIComponent(alarm)}/${deed}`;
