// What was done and has not reached the gateway: kept in the browser's database, sent in order, each once.
//
// Each carries a key of its own (Idempotency-Key): should the answer get lost, it is sent again and the gateway does nothing twice. A refusal is final and is shown until
// somebody has seen it; anything else is tried again. Full: at QUEUED_MAX nothing more is taken, and whoever acts is told.
import { ask, Refused } from '../lib/gateway';
import { why } from '../lib/refusal';

const QUEUED_MAX = 100, TRY_EVERY_MS = 15_000;

export interface Deed {
  place?: number;
  key: string;
  /** For people: what it was, and about which alarm. */
  name: string;
  alarm: string | null;
  path: string;
  body: unknown;
  file: Blob | null;
  at: string;
  /** Key of the deed whose alarm stands for `{alarm}` in the path. */
  needs: string | null;
  /** Why the gateway refused it. */
  refused: string | null;
}

const newKey = (): string => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');

function database(): Promise<IDBDatabase> {
  return new Promise((give, fail) => {
    const opening = indexedDB.open('gridwarden-worker', 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore('deeds', { keyPath: 'place', autoIncrement: true });
    opening.onsuccess = () => give(opening.result);
    opening.onerror = () => fail(opening.error);
  });
}

class Queue {
  items = $state.raw<Deed[]>([]);
  /** Told of each answer, such as an alarm as it is now. */
  answered: (deed: Deed, answer: unknown) => void = () => {};
  #opened: Promise<IDBDatabase> | null = null;
  #sending = false;

  get waiting(): Deed[] {
    return this.items.filter((deed) => deed.refused === null);
  }

  get refused(): Deed[] {
    return this.items.filter((deed) => deed.refused !== null);
  }

  has(alarm: string, name: string): boolean {
    return this.waiting.some((deed) => deed.alarm === alarm && deed.name === name);
  }

  async begin(): Promise<void> {
    await this.#read();
    addEventListener('online', () => void this.flush());
    setInterval(() => void this.flush(), TRY_EVERY_MS);
    void this.flush();
  }

  /** Kept when this returns; `null` when there is no room. Says its key. */
  async add(name: string, path: string, body: unknown, more: { alarm?: string | null; file?: Blob; needs?: string } = {}): Promise<string | null> {
    if (QUEUED_MAX <= this.items.length) return null;
    const deed: Deed = { key: newKey(), name, alarm: more.alarm ?? null, path, body, file: more.file ?? null, at: new Date().toISOString(), needs: more.needs ?? null, refused: null };
    await this.#do((deeds) => deeds.add(deed));
    await this.#read();
    void this.flush();
    return deed.key;
  }

  async dismiss(deed: Deed): Promise<void> {
    await this.#do((deeds) => deeds.delete(deed.place!));
    await this.#read();
  }

  /** Sends what waits, oldest first, until something cannot be sent now. */
  async flush(): Promise<void> {
    if (this.#sending) return;
    this.#sending = true;
    try {
      // Two open pages must not send at once; without locks the key keeps it to one deed all the same.
      if (navigator.locks) await navigator.locks.request('gridwarden-queue', () => this.#sendAll());
      else await this.#sendAll();
    } finally {
      this.#sending = false;
    }
  }

  async #sendAll(): Promise<void> {
    await this.#read();
    for (let deed = this.waiting[0]; deed !== undefined; deed = this.waiting[0]) {
      if (!(await this.#sent(deed))) return;
      await this.#read();
    }
  }

  async #sent(deed: Deed): Promise<boolean> {
    const headers: Record<string, string> = { 'Idempotency-Key': deed.key, ...(deed.file ? {} : { 'Content-Type': 'application/json' }) };
    try {
      const response = await ask(deed.path, { method: 'POST', headers, body: deed.file ?? JSON.stringify(deed.body), signal: AbortSignal.timeout(30_000) });
      const answer: unknown = await response.json();
      await this.#settle(deed, (answer as { id?: string }).id ?? null);
      this.answered(deed, answer);
    } catch (error) {
      const final = error instanceof Refused && error.status < 500 && ![401, 408, 429].includes(error.status) && !['in-progress', 'change-password'].includes(error.kind);
      if (!final) return false;
      deed.refused = why(error);
      await this.#do((deeds) => deeds.put($state.snapshot(deed)));
    }
    return true;
  }

  /** Gone from the queue; what waited for its alarm learns which one that is. */
  async #settle(deed: Deed, alarm: string | null): Promise<void> {
    const after = this.items.filter((one) => one.needs === deed.key && alarm !== null);
    await this.#do((deeds) => {
      for (const one of after) deeds.put({ ...one, needs: null, alarm, path: one.path.replace('{alarm}', alarm!) });
      return deeds.delete(deed.place!);
    });
  }

  async #do(work: (deeds: IDBObjectStore) => unknown): Promise<void> {
    const opened = await (this.#opened ??= database());
    await new Promise<void>((give, fail) => {
      const transaction = opened.transaction('deeds', 'readwrite', { durability: 'strict' });
      transaction.oncomplete = () => give();
      transaction.onerror = transaction.onabort = () => fail(transaction.error);
      work(transaction.objectStore('deeds'));
    });
  }

  async #read(): Promise<void> {
    const opened = await (this.#opened ??= database());
    this.items = await new Promise<Deed[]>((give, fail) => {
      const asked = opened.transaction('deeds').objectStore('deeds').getAll();
      asked.onsuccess = () => give(asked.result as Deed[]);
      asked.onerror = () => fail(asked.error);
    });
  }
}

export const queue = new Queue();
