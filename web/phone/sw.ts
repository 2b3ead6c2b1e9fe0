/// <reference lib="webworker" />
// Precaches every file of the app with Workbox, so that it opens without a network. API responses are not cached: the
// phone's databases hold the data.
import { cleanupOutdatedCaches, createHandlerBoundToURL, precacheAndRoute } from 'workbox-precaching';
import { NavigationRoute, registerRoute } from 'workbox-routing';

declare const self: ServiceWorkerGlobalScope;
declare const __PRECACHE__: { url: string; revision: string | null }[];
declare const __BASE__: string;

cleanupOutdatedCaches();
precacheAndRoute(__PRECACHE__);
registerRoute(new NavigationRoute(createHandlerBoundToURL(`${__BASE__}index.html`)));

// The first version takes control of the page that installed it; later ones wait until the person agrees.
self.addEventListener('install', () => !self.registration.active && void self.skipWaiting());
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));
self.addEventListener('message', (event) => event.data === 'now' && void self.skipWaiting());
