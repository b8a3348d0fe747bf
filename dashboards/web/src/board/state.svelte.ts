// What is chosen on the board, shared by its parts; and which page the address names.
//
// `#alarm=A-17` is one alarm, also as a link and before the log-in; `#page=hydrants` another page; without either the board.
import { live } from '../lib/live.svelte';
import type { Level } from './map/building';
import { buildingOf } from './map/known';
import type { Alarm } from '../lib/types';

export interface WorkerSpot { id: string; name: string; lon: number; lat: number; old: boolean }

class Board {
  scheme = $state<string | null>(null);
  cell = $state<string | null>(null);
  device = $state<string | null>(null);
  /** The floor that has been zoomed to; the map lies behind it. */
  floor = $state.raw<Level | null>(null);
  /** The alarm chosen by keys. */
  alarm = $state<string | null>(null);
  workers = $state.raw<WorkerSpot[]>([]);
  /** Where the map should go next. */
  wanted = $state.raw<{ cell?: string; device?: string } | null>(null);

  show(alarm: Alarm): void {
    if (this.floor !== null && (!alarm.device || buildingOf()(alarm.device, this.floor.cell) !== this.floor.building)) this.floor = null;
    this.wanted = { cell: alarm.cell.code, ...(alarm.device && live.devices.get(alarm.device.id)?.position ? { device: alarm.device.id } : {}) };
  }
}

export const board = new Board();

class Address {
  #hash = $state(new URLSearchParams(location.hash.slice(1)));

  constructor() {
    addEventListener('hashchange', () => (this.#hash = new URLSearchParams(location.hash.slice(1))));
  }

  get alarm(): string | null {
    return this.#hash.get('alarm');
  }

  get page(): string {
    return this.alarm !== null ? 'board' : (this.#hash.get('page') ?? 'board').split('/')[0]!;
  }

  /** What follows the page, such as `devices` of `admin/devices`. */
  get part(): string {
    return (this.#hash.get('page') ?? '').split('/')[1] ?? '';
  }

  get(name: string): string | null {
    return this.#hash.get(name);
  }
}

export const address = new Address();
export const go = (hash: string): void => {
  location.hash = hash;
};
