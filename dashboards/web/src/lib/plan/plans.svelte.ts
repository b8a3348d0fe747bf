// The plans that the reader may see, and which device hangs where on them. Fetched again with every registry.
import { every, Refused } from '../gateway';
import { live } from '../live.svelte';
import type { Plan } from './types';

class Plans {
  all = $state.raw<Plan[]>([]);
  /** The plan of each device. */
  readonly of = $derived(new Map(this.all.flatMap((plan) => plan.devices.map(({ device, at }) => [device, { plan, at }] as const))));
  readonly floors = $derived(this.all.filter((plan) => plan.building !== null));
  readonly grounds = $derived(this.all.filter((plan) => plan.corners !== null));
  #running: Promise<boolean> = Promise.resolve(true);
  #next: Promise<boolean> | null = null;

  constructor() {
    live.onRegistry.add((version) => {
      if (version === 0) this.all = [];
      else void this.load();
    });
  }

  /** Also when a page needs them that is opened later. What is being fetched may be older than the question, so that one more fetch answers it. `false`: they stay as they were read before. */
  load(): Promise<boolean> {
    this.#next ??= this.#running.then(() => {
      this.#next = null;
      return (this.#running = this.#fetch());
    });
    return this.#next;
  }

  async #fetch(): Promise<boolean> {
    const found: Plan[] = [];
    try {
      await every<Plan>('/api/v1/plans?limit=500', 'after', (plan) => found.push(plan));
      this.all = found;
      return true;
    } catch (fault) {
      if (fault instanceof Refused) this.all = []; // Whoever may not see plans has the rest of the map.
      return false;
    }
  }
}

export const plans = new Plans();
