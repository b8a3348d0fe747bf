// Whether this phone is told by Web Push, and how it comes to be. Where it cannot be, the page says what rings instead.
import { get, Refused, send } from '../lib/gateway';
import { mine } from './mine.svelte';

export type Pushes = 'unknown' | 'on' | 'off' | 'denied' | 'none' | 'station';

class Push {
  state = $state<Pushes>('unknown');
  #registration: ServiceWorkerRegistration | null = null;
  /** Somebody is logged in and the registration is not there yet. */
  #wanted = false;

  async begin(): Promise<void> {
    if (!('serviceWorker' in navigator)) return void (this.state = 'none');
    this.#registration = await navigator.serviceWorker.register('/worker/sw.js', { scope: '/worker/' }).catch(() => null);
    if (!this.#registration || !('PushManager' in globalThis)) return void (this.state = 'none');
    if (Notification.permission === 'denied') return void (this.state = 'denied');
    this.state = (await this.#registration.pushManager.getSubscription()) ? 'on' : 'off';
    if (this.#wanted) await this.renew();
  }

  /** The station forgets a browser whose push service said so, and after a restored backup: told again with every log-in, once this phone knows whether it is subscribed. */
  async renew(): Promise<void> {
    this.#wanted = this.#registration === null;
    const subscription = await this.#registration?.pushManager?.getSubscription(), person = mine.me?.person?.id;
    if (subscription && person) await this.#tell(person, subscription).catch(() => {}); // It stays as it was.
  }

  /** Also before logging out, or the next who holds this phone would read the alarms of the one before. */
  async turnOff(): Promise<void> {
    const subscription = await this.#registration?.pushManager?.getSubscription();
    if (!subscription) return;
    await subscription.unsubscribe(); // First: what the station does not hear now, the push service tells it later.
    this.state = 'off';
    await send('DELETE', '/api/v1/push/subscriptions', { endpoint: subscription.endpoint }).catch(() => {});
  }

  #tell(person: string, subscription: PushSubscription): Promise<unknown> {
    return send('POST', '/api/v1/push/subscriptions', { person, ...subscription.toJSON() });
  }

  /** By a tap only: browsers ask the person nothing without one. */
  async turnOn(): Promise<void> {
    const person = mine.me?.person?.id;
    if (!this.#registration || !person) return;
    try {
      const { public_key } = await get<{ public_key: string }>('/api/v1/push/key');
      if ((await Notification.requestPermission()) !== 'granted') return void (this.state = 'denied');
      const bytes = Uint8Array.from(atob(public_key.replaceAll('-', '+').replaceAll('_', '/')), (letter) => letter.charCodeAt(0));
      const subscription = await this.#registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: bytes });
      await this.#tell(person, subscription);
      this.state = 'on';
    } catch (error) {
      // In mainland China Chrome's push service is not reached: subscribing fails.
      this.state = error instanceof Refused && error.status === 404 ? 'station' : 'none';
    }
  }
}

export const push = new Push();
