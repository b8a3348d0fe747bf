// Asking the gateway. A token is kept for this tab only; without one the session's cookie, which no script can read, goes along by itself.

export const remembered = (key) => sessionStorage.getItem(`gridwarden-${key}`);
export const remember = (key, value) => value === null ? sessionStorage.removeItem(`gridwarden-${key}`) : sessionStorage.setItem(`gridwarden-${key}`, value);

// `kind` is the last part of the problem's type (docs/api.md), such as `own-work`; `blank` where the status says it all.
export class Refused extends Error {
  constructor(status, detail, kind) { super(detail); Object.assign(this, { status, kind }); }
}

export async function ask(path, options = {}) {
  const token = remembered('token');
  const headers = { ...(token && { Authorization: `Bearer ${token}` }), ...options.headers };
  const response = await fetch(path, { ...options, headers });
  if (!response.ok) {
    const problem = await response.json().catch(() => ({}));
    throw new Refused(response.status, problem.detail ?? `${response.status}`, problem.type?.split(':').at(-1));
  }
  return response;
}

export const send = (method, path, body, options = {}) =>
  ask(path, { ...options, method, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
