// Where in a building a device hangs, as far as its place says so: `3栋2单元501厨房` is building 3, unit 2, floor 5. What it does not say is not guessed. Pure.
import type { Device } from '../../lib/types';

export interface Door { building: string | null; floor: number | null; rest: string }
export interface Floor { floor: number | null; devices: { device: Device; rest: string }[] }
export interface Building { name: string | null; floors: Floor[] }

const BUILDING = /^(.*?\d+\s*(?:栋|幢|座|号楼))\s*(.*)$/, ROOM = /(?:^|\D)(\d{1,2})(\d{2})(?!\d)/, FLOOR = /(?:^|\D)(\d{1,2})\s*(?:层|楼|F)/;

export function door(place: string): Door {
  const found = BUILDING.exec(place);
  if (!found) return { building: null, floor: null, rest: place };
  const rest = found[2]!, floor = FLOOR.exec(rest)?.[1] ?? ROOM.exec(rest)?.[1];
  return { building: found[1]!, floor: floor === undefined ? null : Number(floor), rest: rest || place };
}

/** Buildings by name, each from the top floor down; what stands in none comes last. */
export function buildings(devices: Iterable<Device>): Building[] {
  const found = new Map<string | null, Map<number | null, Floor>>();
  for (const device of devices) {
    const { building, floor, rest } = door(device.place || device.name || device.id);
    const floors = found.get(building) ?? new Map<number | null, Floor>();
    found.set(building, floors);
    const there = floors.get(floor) ?? { floor, devices: [] };
    floors.set(floor, there);
    there.devices.push({ device, rest });
  }
  const order = (a: string | null, b: string | null): number => (a === null ? 1 : b === null ? -1 : a.localeCompare(b, 'zh', { numeric: true }));
  return [...found].sort(([a], [b]) => order(a, b)).map(([name, floors]) => ({
    name,
    floors: [...floors.values()].sort((a, b) => (b.floor ?? -99) - (a.floor ?? -99)).map((one) => ({ ...one, devices: one.devices.sort((a, b) => a.rest.localeCompare(b.rest, 'zh', { numeric: true })) })),
  }));
}
