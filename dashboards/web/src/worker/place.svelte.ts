// Tells the station where this worker is: only when he has said so, only while the page is open, and the gateway takes it only on duty.
import { send } from '../lib/gateway';

const KEY = 'gridwarden-worker-place', EVERY_MS = 60_000;

class Place {
  told = $state(localStorage.getItem(KEY) === 'yes');
  #watch: number | null = null;
  #last = 0;

  begin(): void {
    if (!this.told || this.#watch !== null || !navigator.geolocation) return;
    this.#watch = navigator.geolocation.watchPosition(({ coords, timestamp }) => {
      if (Date.now() - this.#last < EVERY_MS) return;
      this.#last = Date.now();
      const body = { lat: coords.latitude, lon: coords.longitude, accuracy_m: coords.accuracy, at: new Date(timestamp).toISOString() };
      void send('PUT', '/api/v1/me/position', body).catch(() => {}); // The next one comes soon, or nobody is on duty.
    }, () => {}, { enableHighAccuracy: true });
  }

  /** Whoever logs in next on this phone has said nothing yet. */
  end(): void {
    this.told = false;
    localStorage.removeItem(KEY);
    if (this.#watch !== null) navigator.geolocation.clearWatch(this.#watch);
    this.#watch = null;
    this.#last = 0;
  }

  set(told: boolean): void {
    if (!told) this.end();
    this.told = told;
    localStorage.setItem(KEY, told ? 'yes' : 'no');
    if (told) return this.begin();
    void send('DELETE', '/api/v1/me/position').catch(() => {});
  }
}

export const place = new Place();
