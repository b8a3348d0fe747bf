// The buildings as the page knows them now, by the devices and plans that it has; whoever draws them reads `live.cellsAt`.
import { live } from '../../lib/live.svelte';
import { plans } from '../../lib/plan/plans.svelte';
import type { Plan } from '../../lib/plan/types';
import type { Device } from '../../lib/types';
import { buildings, whereIs, type Building } from './building';

const floorsIn = (cell: string): Plan[] => plans.floors.filter((plan) => live.isIn(plan.cell, cell));
const planOf = (device: string): Plan | undefined => plans.of.get(device)?.plan;

export const buildingsIn = (cell: string): Building[] =>
  buildings([...live.devices.values()].filter((device) => device.cells.some((code) => live.isIn(code, cell))), floorsIn(cell), planOf);

/** In which building of the cell a device hangs; to be asked of many devices. */
export function buildingOf(): (device: Pick<Device, 'id' | 'name' | 'place'>, cell: string) => string | null {
  const floors = new Map<string, Plan[]>();
  return (device, cell) => {
    const near = floors.get(cell) ?? floorsIn(cell);
    floors.set(cell, near);
    return whereIs(device, near, planOf(device.id)).building;
  };
}
