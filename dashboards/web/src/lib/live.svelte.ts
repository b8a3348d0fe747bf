// The neighbourhood as it is now: cells, devices with their newest values, alarms. One for the whole page.
//
// The maps are plain and devices change in place, for ten thousand of them change all the time (who keeps one in a list must take what is drawn anew); whoever draws reads `alarmsAt`, `devicesAt` or `cellsAt`, which count changes.
// Values come faster than anybody can look: they count at most four times a second.
import { newestFirst } from './alarms';
import { every, get, type Page } from './gateway';
import { Stream } from './stream';
import type { Alarm, AlarmChange, Cell, Device, ReadingEvent } from './types';

const CLOSED_SHOWN = 20, ALARMS_MAX = 2000, VALUES_EVERY_MS = 250, AGAIN_MS = 2000, DRAWN_LATEST = 20;

export type Link = 'waiting' | 'live' | 'lost';

class Live {
  readonly cells = new Map<string, Cell>();
  readonly alarms = new Map<string, Alarm>();
  readonly devices = new Map<string, Device>();
  /** Devices that spoke last, newest first. */
  spoke: string[] = [];
  cellsAt = $state(0);
  alarmsAt = $state(0);
  devicesAt = $state(0);
  /** Counts changes of who is heard, which is seldom. */
  presenceAt = $state(0);
  link = $state<Link>('waiting');
  lostWhy = $state('');
  lostSince = $state<Date | null>(null);
  /** There are more open alarms than are shown. */
  full = $state(false);
  /** Version of the registry that cells and devices are of. */
  registry = $state(0);
  /** Told of every change of an alarm, and of every reading; for what is open on the screen. */
  readonly onAlarm = new Set<(change: AlarmChange) => void>();
  readonly onReading = new Set<(reading: ReadingEvent) => void>();
  readonly onBegin = new Set<() => void>();
  /** Told of every registry that cells and devices are of from now on; of 0 when nobody looks any more. */
  readonly onRegistry = new Set<(version: number) => void>();
  unknown: () => void = () => {};
  #awaited: { version: number; wake: () => void }[] = [];
  /** The newest version that was told. */
  #newest = 0;
  /** What came while cells and devices were fetched, in order. */
  #meanwhile: (() => void)[] | null = null;
  /** Counts who has looked here. */
  #visit = 0;
  #valuesWaiting = false;
  #alarmsChanged = false;
  #presenceChanged = false;

  readonly stream = new Stream({
    path: '/api/v1/events?readings=1',
    begin: ({ registry }) => this.#fetchAll(registry),
    event: (kind, body) => {
      if (kind === 'alarm') {
        this.changed((body as AlarmChange).alarm, false);
        this.onAlarm.forEach((tell) => tell(body as AlarmChange));
      } else if (kind === 'reading') {
        this.onReading.forEach((tell) => tell(body as ReadingEvent));
        this.#apply(() => this.#read(body as ReadingEvent));
      } else if (kind === 'presence') {
        const { device, online } = body as { device: string; online: boolean };
        this.#apply(() => this.#heard(device, online));
      } else if (kind === 'registry') void this.#follow((body as { version: number }).version);
    },
    drawn: () => {
      if (this.#alarmsChanged) this.alarmsAt += 1;
      this.#alarmsChanged = false;
    },
    connected: () => {
      this.link = 'live';
      this.onBegin.forEach((tell) => tell());
    },
    lost: (why) => {
      this.link = 'lost';
      this.lostWhy = why;
      this.lostSince = this.stream.heard;
    },
    unknown: () => this.unknown(),
  });

  start(): void {
    this.link = 'waiting';
    this.stream.start();
  }

  stop(): void {
    this.stream.stop();
    this.link = 'waiting';
    for (const map of [this.cells, this.alarms, this.devices]) map.clear();
    [this.#newest, this.#awaited] = [0, []];
    this.#reached(0);
    this.#visit += 1;
    this.cellsAt += 1;
    this.alarmsAt += 1;
    this.devicesAt += 1;
  }

  changed(alarm: Alarm, draw = true): void {
    this.alarms.set(alarm.id, alarm);
    if (!alarm.open) {
      const closed = [...this.alarms.values()].filter((one) => !one.open).sort(newestFirst);
      for (const old of closed.slice(CLOSED_SHOWN)) this.alarms.delete(old.id);
    }
    if (draw) this.alarmsAt += 1;
    else this.#alarmsChanged = true;
  }

  open(): Alarm[] {
    return [...this.alarms.values()].filter((alarm) => alarm.open);
  }

  /** The cell, or one below it. */
  isIn(code: string, cell: string): boolean {
    return code === cell || (this.cells.get(code)?.path.includes(cell) ?? false);
  }

  within(alarm: Alarm, cell: string): boolean {
    return this.isIn(alarm.cell.code, cell);
  }

  /** What was stored as this version counts, and is what is shown. A change takes the gateway up to two seconds; after a broken connection it is looked at anew. */
  inForce(version: number): Promise<void> {
    if (version <= this.registry) return Promise.resolve();
    return new Promise((wake) => this.#awaited.push({ version, wake }));
  }

  /** Another registry is in force, of whoever's making. Those that come while one is fetched are one more fetch. */
  async #follow(version: number): Promise<void> {
    const running = this.registry < this.#newest;
    this.#newest = version;
    if (running) return;
    while (this.link === 'live' && this.registry < this.#newest) {
      const wanted = this.#newest;
      this.#meanwhile = [];
      try {
        await this.#fetchPlaces();
        this.#meanwhile.forEach((apply) => apply());
        this.#reached(wanted);
      } catch {
        await new Promise((wake) => setTimeout(wake, AGAIN_MS));
      }
      this.#meanwhile = null;
    }
    this.#newest = this.registry; // With the connection lost everything is fetched when it is there again.
  }

  #reached(version: number): void {
    this.registry = version;
    for (const { wake } of this.#awaited.filter((one) => one.version <= version)) wake();
    this.#awaited = this.#awaited.filter((one) => version < one.version);
    this.onRegistry.forEach((tell) => tell(version));
  }

  async #fetchPlaces(): Promise<void> {
    const cells = new Map<string, Cell>(), devices = new Map<string, Device>(), visit = this.#visit;
    await every<Cell>('/api/v1/cells?geometry=1&limit=500', 'after', (cell) => cells.set(cell.code, cell));
    await every<Device>('/api/v1/devices?limit=500', 'after', (device) => devices.set(device.id, device));
    if (visit !== this.#visit) throw new Error('nobody looks any more');
    replace(this.cells, cells);
    replace(this.devices, devices);
    this.cellsAt += 1;
    this.devicesAt += 1;
  }

  async #fetchAll(registry = this.registry): Promise<void> {
    const alarms = new Map<string, Alarm>();
    await this.#fetchPlaces();
    const all = await every<Alarm>('/api/v1/alarms?open=1&limit=200', 'before', (alarm) => alarms.set(alarm.id, alarm), ALARMS_MAX);
    const closed = await get<Page<Alarm>>(`/api/v1/alarms?open=0&limit=${CLOSED_SHOWN}`);
    closed.items.forEach((alarm) => alarms.set(alarm.id, alarm));
    this.spoke = [...this.devices.values()].filter((device) => device.values.length > 0)
      .sort((a, b) => (b.last_seen ?? '').localeCompare(a.last_seen ?? '')).slice(0, DRAWN_LATEST).map((device) => device.id);
    replace(this.alarms, alarms);
    this.full = !all;
    this.alarmsAt += 1;
    this.#newest = registry;
    this.#reached(registry);
  }

  /** Also once more when the devices were fetched at the same time: older values never replace newer ones. */
  #apply(change: () => void): void {
    this.#meanwhile?.push(change);
    change();
  }

  #read(reading: ReadingEvent): void {
    const device = this.devices.get(reading.device);
    if (!device) return;
    for (const value of reading.values) {
      const old = device.values.findIndex((one) => one.metric === value.metric);
      const fresh = { ...value, time: reading.time, received: reading.received, freshness: reading.freshness };
      if (old < 0) device.values.push(fresh);
      else if (device.values[old]!.time <= reading.time) device.values[old] = fresh;
    }
    device.last_seen = reading.received;
    this.spoke = [device.id, ...this.spoke.filter((id) => id !== device.id)].slice(0, DRAWN_LATEST);
    this.#valuesChanged();
  }

  #heard(id: string, online: boolean): void {
    const device = this.devices.get(id);
    if (!device || device.online === online) return;
    device.online = online;
    this.#presenceChanged = true;
    this.#valuesChanged();
  }

  #valuesChanged(): void {
    if (this.#valuesWaiting) return;
    this.#valuesWaiting = true;
    setTimeout(() => {
      this.#valuesWaiting = false;
      this.devicesAt += 1;
      if (this.#presenceChanged) this.presenceAt += 1;
      this.#presenceChanged = false;
    }, VALUES_EVERY_MS);
  }
}

function replace<K, V>(old: Map<K, V>, fresh: Map<K, V>): void {
  old.clear();
  for (const [key, value] of fresh) old.set(key, value);
}

export const live = new Live();
