// The plans that the reader may see, and which device hangs where on them. Fetched with the rest when the connection begins, and after a change on this page.
import { every } from '../gateway';
import { live } from '../live.svelte';
import type { Plan } from './types';

const LOOK_EVERY_MS = 300, IN_FORCE_MS = 20_000;

class Plans {
  all = $state.raw<Plan[]>([]);
  /** The plan of each device. */
  readonly of = $derived(new Map(this.all.flatMap((plan) => plan.devices.map(({ device, at }) => [device, { plan, at }] as const))));
  readonly floors = $derived(this.all.filter((plan) => plan.building !== null));
  readonly grounds = $derived(this.all.filter((plan) => plan.corners !== null));
  #loading: Promise<void> | null = null;

  constructor() {
    live.onBegin.add(() => void this.load());
  }

  /** Also when a page needs them that is opened later. */
  load(): Promise<void> {
    this.#loading ??= this.#fetch().finally(() => (this.#loading = null));
    return this.#loading;
  }

  async #fetch(): Promise<void> {
    const found: Plan[] = [];
    try {
      await every<Plan>('/api/v1/plans?limit=500', 'after', (plan) => found.push(plan));
      this.all = found;
    } catch {
      this.all = []; // Whoever may not see plans has the rest of the map.
    }
  }

  /** What was stored is in force a little later; `true`: it is seen. */
  async until(seen: () => boolean): Promise<boolean> {
    for (let waited = 0; waited < IN_FORCE_MS; waited += LOOK_EVERY_MS) {
      await this.load();
      if (seen()) return true;
      await new Promise((wake) => setTimeout(wake, LOOK_EVERY_MS));
    }
    return false;
  }
}

export const plans = new Plans();
