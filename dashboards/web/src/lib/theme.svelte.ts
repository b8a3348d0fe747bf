// Light or dark: as the system says, or as the reader chose in this browser. The colours are in tokens.css.
export type Theme = 'auto' | 'light' | 'dark';
const KEY = 'gridwarden-theme';

class Look {
  theme = $state<Theme>((localStorage.getItem(KEY) as Theme | null) ?? 'auto');
  /** Counts changes, for what is drawn on a canvas. */
  at = $state(0);

  constructor() {
    this.#apply();
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => (this.at += 1));
  }

  set(theme: Theme): void {
    this.theme = theme;
    localStorage.setItem(KEY, theme);
    this.#apply();
  }

  #apply(): void {
    if (this.theme === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = this.theme;
    this.at += 1;
  }
}

export const look = new Look();
