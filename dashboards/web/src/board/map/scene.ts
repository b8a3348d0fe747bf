// What the map shows, in metres on a flat sheet: cells as outlines, devices as points, and what is wrong with either. Pure; drawing is paint.ts.
import { CLASSES, unanswered, worst } from '../../lib/alarms';
import type { Alarm, Cell, Device, SignalClass } from '../../lib/types';

const DEGREE_M = 111_320;

/** On the scale of a city the earth is flat; a degree of longitude is shorter than one of latitude. */
export class Sheet {
  readonly #lon: number;
  readonly #lat: number;
  readonly #squeeze: number;

  constructor(lon: number, lat: number) {
    this.#lon = lon;
    this.#lat = lat;
    this.#squeeze = Math.cos((lat * Math.PI) / 180);
  }

  place([lon, lat]: readonly [number, number]): [number, number] {
    return [(lon - this.#lon) * this.#squeeze * DEGREE_M, (this.#lat - lat) * DEGREE_M];
  }

  back([x, y]: readonly [number, number]): [number, number] {
    return [x / (this.#squeeze * DEGREE_M) + this.#lon, this.#lat - y / DEGREE_M];
  }
}

export interface Box { west: number; north: number; east: number; south: number }

export interface Outline {
  cell: Cell;
  leaf: boolean;
  depth: number;
  /** Each ring as x, y, x, y, … */
  rings: Float32Array[];
  box: Box;
  centre: [number, number];
}

export interface Spot {
  device: Device;
  x: number;
  y: number;
}

/** A building, in the middle of what is known to hang in it. */
export interface House {
  name: string;
  cell: string;
  x: number;
  y: number;
  devices: string[];
}

export interface Ground {
  sheet: Sheet;
  scheme: string | null;
  outlines: Outline[];
  byCode: Map<string, Outline>;
  spots: Spot[];
  houses: House[];
  box: Box | null;
}

/** In which building of a cell a device hangs. */
export type BuildingOf = (device: Device, cell: string) => string | null;

export const schemes = (cells: Iterable<Cell>): string[] => [...new Set([...cells].map((cell) => cell.scheme))];

export function ground(cells: Iterable<Cell>, devices: Iterable<Device>, scheme: string | null, buildingOf: BuildingOf): Ground {
  const drawn = [...cells].filter((cell) => cell.scheme === scheme && cell.geometry).sort((a, b) => a.path.length - b.path.length);
  const first = drawn[0]?.geometry?.coordinates[0]?.[0]?.[0] ?? [0, 0];
  const sheet = new Sheet(first[0], first[1]);
  const parents = new Set(drawn.map((cell) => cell.parent));
  const outlines = drawn.map((cell) => outline(cell, !parents.has(cell.code), sheet));
  const spots: Spot[] = [];
  for (const device of devices) {
    if (!device.position) continue;
    const [x, y] = sheet.place(device.position);
    spots.push({ device, x, y });
  }
  const box = outlines.length === 0 ? null : outlines.map((one) => one.box).reduce(around);
  return { sheet, scheme, outlines, byCode: new Map(outlines.map((one) => [one.cell.code, one])), spots, houses: houses(spots, buildingOf), box };
}

function houses(spots: Spot[], buildingOf: BuildingOf): House[] {
  const found = new Map<string, House>();
  for (const { device, x, y } of spots) {
    const cell = device.cells[0], building = cell === undefined ? null : buildingOf(device, cell);
    if (cell === undefined || building === null) continue;
    const key = `${cell} ${building}`, known = found.get(key) ?? { name: building, cell, x: 0, y: 0, devices: [] };
    known.devices.push(device.id);
    known.x += (x - known.x) / known.devices.length;
    known.y += (y - known.y) / known.devices.length;
    found.set(key, known);
  }
  return [...found.values()];
}

function outline(cell: Cell, leaf: boolean, sheet: Sheet): Outline {
  const box: Box = { west: Infinity, north: Infinity, east: -Infinity, south: -Infinity };
  const rings = cell.geometry!.coordinates.flat().map((ring) => {
    const points = new Float32Array(ring.length * 2);
    ring.forEach((point, at) => {
      const [x, y] = sheet.place(point);
      points[at * 2] = x;
      points[at * 2 + 1] = y;
      box.west = Math.min(box.west, x);
      box.east = Math.max(box.east, x);
      box.north = Math.min(box.north, y);
      box.south = Math.max(box.south, y);
    });
    return points;
  });
  return { cell, leaf, depth: cell.path.length, rings, box, centre: centre(rings[0], box) };
}

/** The centre of the area, which for a bent outline is better than the middle of its box; the middle when it lies outside. */
function centre(ring: Float32Array | undefined, box: Box): [number, number] {
  const middle: [number, number] = [(box.west + box.east) / 2, (box.north + box.south) / 2];
  if (!ring || ring.length < 6) return middle;
  let area = 0, x = 0, y = 0;
  for (let at = 0; at + 3 < ring.length; at += 2) {
    const [x1, y1, x2, y2] = [ring[at]!, ring[at + 1]!, ring[at + 2]!, ring[at + 3]!], cross = x1 * y2 - x2 * y1;
    area += cross;
    x += (x1 + x2) * cross;
    y += (y1 + y2) * cross;
  }
  return Math.abs(area) < 1 ? middle : [x / (3 * area), y / (3 * area)];
}

const around = (a: Box, b: Box): Box =>
  ({ west: Math.min(a.west, b.west), north: Math.min(a.north, b.north), east: Math.max(a.east, b.east), south: Math.max(a.south, b.south) });

export function inside(one: Outline, x: number, y: number): boolean {
  const { box } = one;
  if (x < box.west || x > box.east || y < box.north || y > box.south) return false;
  let within = false;
  for (const ring of one.rings) {
    for (let at = 0, last = ring.length - 2; at < ring.length; last = at, at += 2) {
      const [ax, ay, bx, by] = [ring[at]!, ring[at + 1]!, ring[last]!, ring[last + 1]!];
      if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) within = !within;
    }
  }
  return within;
}

/** What stands in one cell of the map. */
export interface Trouble {
  outline: Outline;
  class: SignalClass;
  count: number;
  /** Somebody must still answer. */
  unanswered: boolean;
  drill: boolean;
}

export interface Wrong {
  cells: Trouble[];
  /** Worst class of each device with an open alarm. */
  devices: Map<string, SignalClass>;
}

/** An alarm colours the leaf that it stands in; one of a larger cell colours that one's outline. Worst last, so that it is drawn on top. */
export function wrong(ground: Ground, open: Iterable<Alarm>, cells: ReadonlyMap<string, Cell>): Wrong {
  const standing = new Map<string, Alarm[]>(), devices = new Map<string, SignalClass>();
  for (const alarm of open) {
    if (alarm.device) devices.set(alarm.device.id, worst2(devices.get(alarm.device.id), alarm.class));
    const code = homeOf(alarm, ground, cells);
    if (code === null) continue;
    const there = standing.get(code);
    if (there) there.push(alarm);
    else standing.set(code, [alarm]);
  }
  const found = [...standing].map(([code, alarms]): Trouble => {
    const grave = worst(alarms)!, gravest = alarms.filter((alarm) => alarm.class === grave);
    return { outline: ground.byCode.get(code)!, class: grave, count: alarms.length, unanswered: gravest.some((alarm) => unanswered(alarm) && !alarm.held), drill: gravest.every((alarm) => alarm.drill) };
  });
  found.sort((a, b) => CLASSES.indexOf(b.class) - CLASSES.indexOf(a.class) || Number(a.unanswered) - Number(b.unanswered));
  return { cells: found, devices };
}

const worst2 = (a: SignalClass | undefined, b: SignalClass): SignalClass => (a !== undefined && CLASSES.indexOf(a) < CLASSES.indexOf(b) ? a : b);

/** In another scheme than its own an alarm stands where its device does; else in the nearest cell above that is drawn. */
function homeOf(alarm: Alarm, ground: Ground, cells: ReadonlyMap<string, Cell>): string | null {
  if (ground.byCode.has(alarm.cell.code)) return alarm.cell.code;
  const spot = alarm.device && ground.spots.find((one) => one.device.id === alarm.device!.id);
  if (spot) {
    const here = ground.outlines.findLast((one) => one.leaf && inside(one, spot.x, spot.y));
    if (here) return here.cell.code;
  }
  return cells.get(alarm.cell.code)?.path.findLast((code) => ground.byCode.has(code)) ?? null;
}
