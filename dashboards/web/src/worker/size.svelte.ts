// How large everything is: as usual, or for rain, gloves and no glasses. The sizes are in phone.css.
export type Size = 'usual' | 'large';
const KEY = 'gridwarden-size';

class Sizing {
  chosen = $state<Size>(localStorage.getItem(KEY) === 'large' ? 'large' : 'usual');

  constructor() {
    this.#apply();
  }

  set(size: Size): void {
    this.chosen = size;
    localStorage.setItem(KEY, size);
    this.#apply();
  }

  #apply(): void {
    document.documentElement.dataset.size = this.chosen;
  }
}

export const size = new Sizing();
