// The time, for whatever counts: it moves on twice a second. Everything on the screen that counts moves together.
class Clock {
  now = $state(Date.now());

  constructor() {
    setInterval(() => (this.now = Date.now()), 500);
  }
}

export const clock = new Clock();
