// Deeds done from the board, and what became of them. While a request runs a second tap does nothing; what fails says why.
import { send } from '../lib/gateway';
import { live } from '../lib/live.svelte';
import { why } from '../lib/refusal';
import type { Alarm } from '../lib/types';
import { speech } from '../lib/words.svelte';

class Acts {
  busy = $state.raw<ReadonlySet<string>>(new Set());
  failed = $state('');

  async acknowledge(id: string): Promise<void> {
    if (this.busy.has(id)) return;
    this.busy = new Set(this.busy).add(id);
    try {
      live.changed(await send<Alarm>('POST', `/api/v1/alarms/${encodeURIComponent(id)}/acknowledge`, {}));
      this.failed = '';
    } catch (error) {
      this.failed = `${speech.t.failed} ${id}: ${why(error)}`;
    }
    this.busy = new Set([...this.busy].filter((one) => one !== id));
  }
}

export const acts = new Acts();
