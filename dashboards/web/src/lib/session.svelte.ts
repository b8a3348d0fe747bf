// Who is logged in here, and how one comes in: by name and password, by a token, or by a link with either behind its #.
//
// A link such as /#token=… or /#invite=… logs in; that leaves the address bar at once, and what stands behind # never reaches a server.
import { ask, get, Refused, remember, remembered, send } from './gateway';
import type { Me } from './types';

export type Door = 'waiting' | 'login' | 'choose' | 'inside';

class Session {
  door = $state<Door>('waiting');
  me = $state.raw<Me | null>(null);
  /** Why one must log in: `badToken`, or nothing to say. */
  why = $state<'badToken' | 'mustChange' | null>(null);
  /** The password that is being chosen: after an invitation it may be left out. */
  chooses = $state<'invited' | 'mustChange'>('mustChange');
  /** Called when somebody is in, and when nobody is any more. */
  entered: () => void = () => {};
  left: () => void = () => {};
  #choose: (password: string | null) => Promise<unknown> = async () => {};

  may(right: string): boolean {
    return this.me?.rights.includes(right) ?? false;
  }

  /** `kept` was logged in here last: he is let in at once to what is kept on this phone, and the gateway may say soon that he is nobody any more. */
  begin(kept: Me | null = null): void {
    const given = new URLSearchParams(location.hash.slice(1)), token = given.get('token'), invite = given.get('invite');
    if (token !== null || invite !== null) {
      remember('token', token);
      const alarm = given.get('alarm');
      history.replaceState(null, '', alarm === null ? location.pathname : `#alarm=${encodeURIComponent(alarm)}`);
    }
    if (invite === null) {
      if (kept !== null && token === null) this.#inside(kept);
      void this.enter();
    } else this.choosePassword('invited', (password) => send('POST', '/api/v1/session/invited', { secret: invite, ...(password && { password }) }));
  }

  choosePassword(chooses: 'invited' | 'mustChange', take: (password: string | null) => Promise<unknown>): void {
    this.chooses = chooses;
    this.#choose = take;
    this.door = 'choose';
  }

  async chosen(password: string | null): Promise<void> {
    await this.#choose(password);
    await this.enter();
  }

  login(why: Session['why'] = null): void {
    remember('token', null);
    this.me = null;
    this.why = why;
    this.door = 'login';
    this.left();
  }

  /** `old` is the password just typed, if any: a one-time password is changed at once. */
  async enter(old: string | null = null): Promise<void> {
    const token = remembered('token');
    if (token && !/^[\x20-\x7e]+$/.test(token)) return this.login('badToken'); // A header cannot carry it.
    try {
      const me = await get<Me>('/api/v1/session');
      if (me.must_change && old === null) return this.login('mustChange');
      if (me.must_change) return this.choosePassword('mustChange', (password) => send('PUT', '/api/v1/session/password', { old, new: password }));
      if (this.door === 'inside' && this.me?.name === me.name) this.me = me;
      else this.#inside(me);
    } catch (error) {
      if (error instanceof Refused && error.status === 401) return this.login(token ? 'badToken' : null);
      if (this.door !== 'inside') this.#inside(this.me); // Anything else is said by the stream, which goes on trying.
    }
  }

  #inside(me: Me | null): void {
    this.me = me;
    this.door = 'inside';
    this.entered();
  }

  async byName(name: string, password: string, code: string): Promise<void> {
    remember('token', null);
    await send('POST', '/api/v1/session', { name, password, ...(code && { code }) });
    await this.enter(password);
  }

  async byToken(token: string): Promise<void> {
    remember('token', token || null);
    await this.enter();
  }

  async out(): Promise<void> {
    try {
      if (!remembered('token')) await ask('/api/v1/session', { method: 'DELETE' }); // A token stays good for others who hold it.
    } catch (error) {
      if (!(error instanceof Refused && error.status === 401)) throw error;
    }
    this.login();
  }
}

export const session = new Session();
