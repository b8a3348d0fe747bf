// The worker app without a network: its files, and the alerts that come by Web Push. Deeds wait in the page's own queue (src/worker/queue.svelte.ts).
//
// The page that is kept is shown at once, for a weak network must not stand between a worker and his alarm; meanwhile it is asked for anew, for the next time. Files with a hash in their names never
// change. Nothing of the API is kept here.
const CACHE = 'gridwarden-worker';
/** What the page fetches only when it is needed, such as the decoder of codes; of this page's own version only. */
const LATER = 'gridwarden-worker-later';
const PAGE = '/worker/';

self.addEventListener('install', (event) => event.waitUntil(fetch(PAGE).then(keep).then(() => self.skipWaiting())));
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));

/** The page with every file it names; what it names no more goes. */
async function keep(response) {
  if (!response.ok) throw new Error(`the page answers ${response.status}`);
  const cache = await caches.open(CACHE), text = await response.clone().text();
  const files = [...text.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map(([, path]) => path);
  await Promise.all(files.map(async (path) => (await cache.match(path)) ?? cache.add(path)));
  const before = await cache.match(PAGE);
  if (before && (await before.text()) !== text) await caches.delete(LATER);
  await cache.put(PAGE, response.clone());
  for (const request of await cache.keys()) {
    const path = new URL(request.url).pathname;
    if (path.startsWith('/assets/') && !files.includes(path)) await cache.delete(request);
  }
  return response;
}

async function page(event) {
  const kept = await caches.match(PAGE), fresh = fetch(PAGE).then(keep);
  if (!kept) return fresh;
  event.waitUntil(fresh.catch(() => {})); // The next time will do.
  return kept;
}

async function fetched(request) {
  const response = await fetch(request);
  if (response.ok) await (await caches.open(LATER)).put(request, response.clone());
  return response;
}

self.addEventListener('fetch', (event) => {
  const { request } = event, { origin, pathname } = new URL(request.url);
  if (request.method !== 'GET' || origin !== location.origin) return;
  if (request.mode === 'navigate' && pathname === PAGE) event.respondWith(page(event));
  else if (pathname.startsWith('/assets/') || pathname === '/icon.svg' || pathname === `${PAGE}manifest.webmanifest`) {
    event.respondWith(caches.match(request).then((kept) => kept ?? fetched(request)));
  }
});

const receipts = (alerts, receipt) => Promise.allSettled((alerts ?? []).map((key) => fetch(`/api/v1/alerts/${encodeURIComponent(key)}/receipts`,
  { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ receipt }) })));

self.addEventListener('push', (event) => {
  const { title, body, tag, alarm, alerts, class: kind } = event.data.json();
  const shown = self.registration.showNotification(title, {
    body, tag, renotify: true, requireInteraction: kind === 'fire', icon: '/icon.svg', vibrate: kind === 'fire' ? [600, 200, 600, 200, 600] : [300], data: { alarm, alerts },
  });
  event.waitUntil(shown.then(() => receipts(alerts, 'shown')));
});

self.addEventListener('notificationclick', (event) => {
  const { alarm, alerts } = event.notification.data ?? {};
  event.notification.close();
  event.waitUntil((async () => {
    const [open] = await self.clients.matchAll({ type: 'window', includeUncontrolled: true });
    if (open) {
      open.postMessage({ alarm });
      await open.focus().catch(() => {}); // Some browsers refuse it; the alarm is open all the same.
    } else await self.clients.openWindow(`${PAGE}#alarm=${encodeURIComponent(alarm)}`);
    await receipts(alerts, 'opened');
  })());
});
