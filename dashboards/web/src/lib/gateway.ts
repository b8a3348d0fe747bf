// Asking the gateway. A token is kept for this tab only; without one the session's cookie, which no script can read, goes along by itself.
//
// A change by cookie is accepted from the gateway's own pages only: the browser says so in Sec-Fetch-Site and Origin, no second secret is needed.

const ANSWER_MAX_MS = 20_000;

export const remembered = (key: string): string | null => sessionStorage.getItem(`gridwarden-${key}`);
export function remember(key: string, value: string | null): void {
  if (value === null) sessionStorage.removeItem(`gridwarden-${key}`);
  else sessionStorage.setItem(`gridwarden-${key}`, value);
}

/** `kind` is the last part of the problem's type (docs/api.md), such as `own-work`; `blank` where the status says it all. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    detail: string,
    readonly kind: string,
    readonly fields: { field: string; detail: string }[] = [],
  ) {
    super(detail);
  }
}

export async function ask(path: string | URL, options: RequestInit = {}): Promise<Response> {
  const token = remembered('token');
  const headers = new Headers(options.headers);
  if (token) headers.set('Authorization', `Bearer ${token}`);
  const response = await fetch(path, { ...options, headers });
  if (!response.ok) {
    const problem = await response.json().catch(() => ({}));
    throw new Refused(response.status, problem.detail ?? `${response.status}`, problem.type?.split(':').at(-1) ?? 'blank', problem.errors ?? []);
  }
  return response;
}

export async function get<T>(path: string | URL, options: RequestInit = {}): Promise<T> {
  return (await ask(path, { signal: AbortSignal.timeout(ANSWER_MAX_MS), ...options })).json() as Promise<T>;
}

/** `null` for an answer without a body. */
export async function send<T>(method: string, path: string, body?: unknown, options: RequestInit = {}): Promise<T> {
  const response = await ask(path, {
    signal: AbortSignal.timeout(ANSWER_MAX_MS),
    ...options,
    method,
    headers: { 'Content-Type': 'application/json', ...options.headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return (text === '' ? null : JSON.parse(text)) as T;
}

export interface Page<T> {
  items: T[];
  next: string | null;
}

/** Every item of a list, page by page; `false` when there are more than `most`. */
export async function every<T>(path: string, cursor: 'after' | 'before', take: (item: T) => void, most = Infinity): Promise<boolean> {
  let next: string | null = null, count = 0;
  while (count < most) {
    const url = new URL(path, location.origin);
    if (next !== null) url.searchParams.set(cursor, next);
    const answer: Page<T> = await get(url);
    answer.items.forEach(take);
    count += answer.items.length;
    next = answer.next;
    if (next === null) return true;
  }
  return false;
}
