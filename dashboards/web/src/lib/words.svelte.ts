// The language on the screen: `speech.t` are its words. Chinese unless the reader chose English; the choice is kept in this browser.
import { en } from './words/en';
import { zh, type Words } from './words/zh';

export type Language = 'zh' | 'en';
const KEY = 'gridwarden-language';

class Speech {
  language = $state<Language>(localStorage.getItem(KEY) === 'en' ? 'en' : 'zh');

  get t(): Words {
    return this.language === 'zh' ? zh : en;
  }

  /** One of two, for pages that keep words of their own: `speech.pick(zh, en)`. */
  pick<T>(chinese: T, english: T): T {
    return this.language === 'zh' ? chinese : english;
  }

  switch(): void {
    this.language = this.language === 'zh' ? 'en' : 'zh';
    localStorage.setItem(KEY, this.language);
  }
}

export const speech = new Speech();

/** What another language must have: the same keys, with texts of its own. */
export type Like<T> = T extends string ? string : { [K in keyof T]: Like<T[K]> };

/** A value of the API, such as a stage. One that the page does not know yet keeps its name. */
export function word(words: Record<string, string>, value: string): string {
  return words[value] ?? value;
}
