// The gateway's event stream, followed for as long as the page is open.
//
// Opened by fetch, because an EventSource cannot send a token. To miss nothing: `hello` comes first, then the page fetches its lists, then it applies the
// events that waited meanwhile; after a break the id of the last event that was taken in is sent, and what happened since comes again. A stream that
// is silent for longer than the gateway's comments allow is dead. What an event means is the page's business.
import { ask, Refused } from './gateway';

const SILENCE_MAX_MS = 40_000; // The gateway sends a comment every 15 s.
const PAUSE_MAX_MS = 10_000;

export interface Follower {
  /** With `readings=1` for values and presence too. */
  path: string;
  /** `hello` or `lagged`: fetch the lists. What comes meanwhile waits. */
  begin(body: { registry?: number }): Promise<void>;
  event(kind: string, body: unknown): void;
  /** Everything of one piece of the stream has been taken in. */
  drawn(): void;
  connected(): void;
  lost(why: string): void;
  /** Nobody is known here any more. */
  unknown(): void;
}

export class Stream {
  #follower: Follower;
  #stop: AbortController | null = null;
  #lastId: string | null = null;
  heard: Date | null = null;

  constructor(follower: Follower) {
    this.#follower = follower;
  }

  /** Also anew, for somebody else: nothing is carried over. */
  start(): void {
    this.stop();
    this.#lastId = null;
    void this.#keepFollowing((this.#stop = new AbortController()));
  }

  stop(): void {
    this.#stop?.abort();
    this.#stop = null;
  }

  async #keepFollowing(stop: AbortController): Promise<void> {
    for (let failures = 0; !stop.signal.aborted; ) {
      const before = this.heard;
      let why = '';
      try {
        await this.#follow(stop.signal);
      } catch (error) {
        if (stop.signal.aborted) return;
        if (error instanceof Refused && error.status === 401) return this.#follower.unknown();
        why = error instanceof Refused ? error.message : '';
      }
      if (this.heard !== before) failures = 0;
      this.#follower.lost(why);
      failures += 1;
      const pause = Math.min(PAUSE_MAX_MS, 500 * 2 ** failures) * (0.5 + Math.random() / 2);
      await new Promise((wake) => setTimeout(wake, pause));
    }
  }

  /** One stream until it ends or falls silent; throws. */
  async #follow(stop: AbortSignal): Promise<void> {
    const headers: HeadersInit = this.#lastId === null ? {} : { 'Last-Event-ID': this.#lastId };
    const watchdog = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const alive = (): void => {
      clearTimeout(timer);
      timer = setTimeout(() => watchdog.abort(new Error('silent')), SILENCE_MAX_MS);
    };
    alive();
    try {
      const response = await ask(this.#follower.path, { headers, signal: AbortSignal.any([stop, watchdog.signal]) });
      const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
      let rest = '';
      for (;;) {
        const { value, done } = await reader.read();
        if (done) throw new Error('the stream ended');
        alive();
        const blocks = (rest + value).split('\n\n');
        rest = blocks.pop()!;
        for (const block of blocks) await this.#take(block);
        this.heard = new Date();
        this.#follower.drawn();
      }
    } finally {
      clearTimeout(timer);
      watchdog.abort();
    }
  }

  async #take(block: string): Promise<void> {
    let kind = 'message', id: string | null = null, data = '';
    for (const line of block.split('\n')) {
      const colon = line.indexOf(':');
      if (colon < 1) continue; // A comment.
      const value = line.slice(colon + 1).replace(/^ /, ''), name = line.slice(0, colon);
      if (name === 'event') kind = value;
      else if (name === 'id') id = value;
      else if (name === 'data') data += value;
    }
    if (!data) return;
    if (kind === 'hello' || kind === 'lagged') {
      await this.#follower.begin(JSON.parse(data));
      this.#follower.connected();
    } else this.#follower.event(kind, JSON.parse(data));
    if (id !== null) this.#lastId = id; // Only now: what was not taken in comes again.
  }
}
