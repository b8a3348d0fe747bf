// The open alarms of this worker's cells, live while the page is open, and as they were last when there is no network.
//
// Kept in the browser without who lives where: that stands on cards only, which are never kept.
import { actsAs, inOrder } from '../lib/alarms';
import { every } from '../lib/gateway';
import { Stream } from '../lib/stream';
import type { Alarm, AlarmChange, Me } from '../lib/types';

const KEY = 'gridwarden-worker', KEPT_MAX = 200;

class Mine {
  alarms = $state.raw<Alarm[]>([]);
  link = $state<'waiting' | 'live' | 'lost'>('waiting');
  /** When the list was last known to be right. */
  asOf = $state<string | null>(null);
  me = $state.raw<Me | null>(null);
  /** The last one that this person resolved and that is closed now: its resident may be asked. */
  closed = $state.raw<Alarm | null>(null);
  unknown: () => void = () => {};
  #stream = new Stream({
    path: '/api/v1/events',
    begin: async () => {
      const found: Alarm[] = [];
      await every<Alarm>('/api/v1/alarms?open=1&limit=200', 'before', (alarm) => found.push(alarm), KEPT_MAX);
      this.#take(found);
    },
    event: (kind, body) => {
      if (kind === 'alarm') this.changed((body as AlarmChange).alarm);
    },
    drawn: () => {},
    connected: () => (this.link = 'live'),
    lost: () => (this.link = 'lost'),
    unknown: () => this.unknown(),
  });

  constructor() {
    const kept = localStorage.getItem(KEY);
    if (kept) ({ alarms: this.alarms, asOf: this.asOf, me: this.me } = JSON.parse(kept));
  }

  start(me: Me | null): void {
    this.known(me);
    this.link = 'waiting';
    this.#stream.start();
  }

  known(me: Me | null): void {
    if (me && this.me && me.name !== this.me.name) this.alarms = []; // Those of somebody else.
    if (me) this.me = me;
  }

  stop(): void {
    this.#stream.stop();
    this.alarms = [];
    this.me = null;
    this.asOf = null;
    this.closed = null;
    localStorage.removeItem(KEY);
  }

  changed(alarm: Alarm): void {
    const done = !alarm.open && !alarm.drill && alarm.resolved?.by === actsAs(this.me) && alarm.rule !== 'roll-call';
    if (done && this.alarms.some((one) => one.id === alarm.id)) this.closed = alarm;
    this.#take([...this.alarms.filter((one) => one.id !== alarm.id), alarm].filter((one) => one.open));
  }

  #take(alarms: Alarm[]): void {
    this.alarms = alarms.sort(inOrder);
    this.asOf = new Date().toISOString();
    localStorage.setItem(KEY, JSON.stringify({ alarms: this.alarms.slice(0, KEPT_MAX), asOf: this.asOf, me: this.me }));
  }
}

export const mine = new Mine();
