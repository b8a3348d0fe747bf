// The alarm sound, made by the browser itself: it goes on until somebody has acknowledged. A fire is two tones that nobody takes for anything else; what is less
// grave rings once in a while; a drill sounds like nothing in earnest. Browsers keep quiet until somebody has touched the page: `blocked` says so.
import type { SignalClass } from './types';

const MUTED_MS = 120_000, EVERY_MS: Record<SignalClass, number> = { fire: 1400, supervisory: 8000, trouble: 30_000, disabled: Infinity, test: Infinity };
export const DRILL_EVERY_MS = 6000;

class Sound {
  blocked = $state(false);
  mutedUntil = $state(0);
  #context: AudioContext | null = null;
  #wanted: { of: SignalClass; drill: boolean } | null = null;
  #next = 0;
  #timer: ReturnType<typeof setInterval> | null = null;

  /** What calls now, or nothing. */
  want(of: SignalClass | null, drill: boolean): void {
    const before = this.#wanted;
    this.#wanted = of === null ? null : { of, drill };
    if (this.#wanted && before?.of !== of) this.#next = 0; // Something else: at once.
    if (!this.#wanted || this.#timer) return;
    this.#timer = setInterval(() => this.#tick(), 200);
    this.#tick();
  }

  mute(now: number): void {
    this.mutedUntil = this.mutedUntil > now ? 0 : now + MUTED_MS;
  }

  /** After a touch the browser allows it. */
  async allow(): Promise<void> {
    this.#context ??= new AudioContext();
    await this.#context.resume();
    this.blocked = this.#context.state !== 'running';
  }

  #tick(): void {
    const now = Date.now(), wanted = this.#wanted;
    if (!wanted) {
      clearInterval(this.#timer!);
      this.#timer = null;
      this.#next = 0;
      return;
    }
    if (!navigator.userActivation.hasBeenActive) {
      this.blocked = true; // It would only complain.
      return;
    }
    this.#context ??= new AudioContext();
    this.blocked = this.#context.state !== 'running';
    if (now < this.mutedUntil || now < this.#next || this.blocked) return;
    this.#next = now + (wanted.drill ? DRILL_EVERY_MS : EVERY_MS[wanted.of]);
    if (wanted.drill) this.#ring([[523, 0, 0.12], [523, 0.2, 0.12]], 'sine');
    else if (wanted.of === 'fire') this.#ring([[960, 0, 0.28], [720, 0.3, 0.28], [960, 0.6, 0.28], [720, 0.9, 0.28]], 'square');
    else this.#ring([[740, 0, 0.18], [554, 0.2, 0.3]], 'triangle');
  }

  #ring(tones: [hertz: number, after_s: number, lasts_s: number][], shape: OscillatorType): void {
    const context = this.#context!, begin = context.currentTime + 0.02;
    for (const [hertz, after, lasts] of tones) {
      const tone = context.createOscillator(), volume = context.createGain();
      tone.type = shape;
      tone.frequency.value = hertz;
      volume.gain.setValueAtTime(0, begin + after);
      volume.gain.linearRampToValueAtTime(shape === 'square' ? 0.22 : 0.35, begin + after + 0.02);
      volume.gain.setValueAtTime(shape === 'square' ? 0.22 : 0.35, begin + after + lasts - 0.03);
      volume.gain.linearRampToValueAtTime(0, begin + after + lasts);
      tone.connect(volume).connect(context.destination);
      tone.start(begin + after);
      tone.stop(begin + after + lasts + 0.02);
    }
  }
}

export const sound = new Sound();
