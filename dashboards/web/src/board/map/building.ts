// Where in a building a device hangs, as far as its plan or its place says so: `3栋2单元501厨房` is building 3, unit 2, floor 5. What neither says is not guessed. Pure.
import { CLASSES } from '../../lib/alarms';
import type { Plan } from '../../lib/plan/types';
import type { Device, SignalClass } from '../../lib/types';

export interface Door { building: string | null; floor: number | null; rest: string }
export interface Floor { floor: number | null; devices: { device: Device; rest: string }[]; plans: Plan[] }
export interface Building { name: string | null; floors: Floor[] }
/** What the reader has zoomed to. */
export interface Level { cell: string; building: string; floor: number | null }

const BUILDING = /^(.*?\d+\s*(?:栋|幢|座|号楼))\s*(.*)$/, ROOM = /(?:^|\D)(\d{1,2})(\d{2})(?!\d)/, FLOOR = /(?:^|\D)(\d{1,2})\s*(?:层|楼|F)/;

function door(place: string): Door {
  const found = BUILDING.exec(place);
  return found ? inside(found[1]!, found[2]!, place) : { building: null, floor: null, rest: place };
}

function inside(building: string, rest: string, place: string): Door {
  const floor = FLOOR.exec(rest)?.[1] ?? ROOM.exec(rest)?.[1];
  return { building, floor: floor === undefined ? null : Number(floor), rest: rest || place };
}

/** A plan knows best; then a building that has plans and that the place begins with; then the place alone. */
export function whereIs(device: Pick<Device, 'id' | 'name' | 'place'>, plans: readonly Plan[], on: Plan | undefined): Door {
  const place = device.place || device.name || device.id;
  const known = plans.find(({ building }) => building !== null && place.startsWith(building) && !/^\d/.test(place.slice(building.length)));
  const said = known ? inside(known.building!, place.slice(known.building!.length).trim(), place) : door(place);
  return on && on.building !== null ? { building: on.building, floor: on.floor, rest: said.rest } : said;
}

/** Buildings by name, each from the top floor down; what stands in none comes last. A floor that has a plan is there though nothing hangs on it. */
export function buildings(devices: Iterable<Device>, plans: readonly Plan[] = [], planOf: (device: string) => Plan | undefined = () => undefined): Building[] {
  const found = new Map<string | null, Map<number | null, Floor>>();
  const at = (building: string | null, floor: number | null): Floor => {
    const floors = found.get(building) ?? new Map<number | null, Floor>(), there = floors.get(floor) ?? { floor, devices: [], plans: [] };
    found.set(building, floors);
    floors.set(floor, there);
    return there;
  };
  for (const plan of plans) if (plan.building !== null) at(plan.building, plan.floor).plans.push(plan);
  for (const device of devices) {
    const { building, floor, rest } = whereIs(device, plans, planOf(device.id));
    at(building, floor).devices.push({ device, rest });
  }
  const order = (a: string | null, b: string | null): number => (a === null ? 1 : b === null ? -1 : a.localeCompare(b, 'zh', { numeric: true }));
  return [...found].sort(([a], [b]) => order(a, b)).map(([name, floors]) => ({
    name,
    floors: [...floors.values()].sort((a, b) => (b.floor ?? -99) - (a.floor ?? -99)).map((one) => ({ ...one, devices: one.devices.sort((a, b) => a.rest.localeCompare(b.rest, 'zh', { numeric: true })) })),
  }));
}

/** The worst class on a floor, or in a building, and how many devices have an alarm. */
export function troubled(floors: readonly Floor[], alarmed: ReadonlyMap<string, SignalClass>): { class: SignalClass; count: number } | null {
  const classes = floors.flatMap((floor) => floor.devices.flatMap(({ device }) => alarmed.get(device.id) ?? []));
  const worst = CLASSES.find((one) => classes.includes(one));
  return worst === undefined ? null : { class: worst, count: classes.length };
}

/** Where to go in when a building is opened: where it is worst, else the lowest floor that has a plan, else the lowest. */
export function entrance(floors: readonly Floor[], alarmed: ReadonlyMap<string, SignalClass>): Floor | undefined {
  const rank = (floor: Floor): number => {
    const found = troubled([floor], alarmed);
    return found ? CLASSES.indexOf(found.class) : CLASSES.length;
  };
  const worst = floors.toSorted((a, b) => rank(a) - rank(b))[0];
  if (worst && rank(worst) < CLASSES.length) return worst;
  const known = floors.filter((floor) => floor.floor !== null);
  return known.findLast((floor) => floor.plans.length > 0) ?? known.at(-1) ?? floors[0];
}
