/// <reference lib="webworker" />
// Keeps every file of the app on the phone, so that it opens with no network; workbox does the keeping. The API is
// never answered from here: what the phone knows offline is in its own store.
import { cleanupOutdatedCaches, createHandlerBoundToURL, precacheAndRoute } from 'workbox-precaching';
import { NavigationRoute, registerRoute } from 'workbox-routing';

declare const self: ServiceWorkerGlobalScope;
declare const __PRECACHE__: { url: string; revision: string | null }[];
declare const __BASE__: string;

cleanupOutdatedCaches();
precacheAndRoute(__PRECACHE__);
registerRoute(new NavigationRoute(createHandlerBoundToURL(`${__BASE__}index.html`)));

// The first version serves the page that brought it; a later one waits until the person agrees.
self.addEventListener('install', () => !self.registration.active && void self.skipWaiting());
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));
self.addEventListener('message', (event) => event.data === 'now' && void self.skipWaiting());
