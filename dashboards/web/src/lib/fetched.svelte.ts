// Bytes as an address that a picture can have. Fetched with the reader's rights, so that their path alone shows nothing; given back when others are wanted or nobody looks any more.
import { ask } from './gateway';

export class Fetched {
  url = $state<string | null>(null);
  gone = $state(false);

  /** To be made with its component. `wanted` is a path, or the bytes themselves; what `check` refuses is gone. */
  constructor(wanted: () => string | Blob | null, check?: (blob: Blob) => Promise<unknown>) {
    const source = $derived(wanted()); // What is around it is fetched again and again; the picture is looked at once.
    $effect(() => {
      const from = source;
      let url: string | null = null, left = false;
      const fetched = async (): Promise<void> => {
        if (from === null) return;
        const blob = typeof from === 'string' ? await (await ask(from)).blob() : from;
        await check?.(blob);
        if (!left) this.url = url = URL.createObjectURL(blob);
      };
      [this.url, this.gone] = [null, false];
      fetched().catch(() => { if (!left) this.gone = true; });
      return () => {
        left = true;
        if (url) URL.revokeObjectURL(url);
      };
    });
  }
}
