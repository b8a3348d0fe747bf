// Three pages from one source: the wall board at `/`, the worker's at `/worker/`, the resident's at `/report/…`.
//
// Nothing is inlined (the gateway's Content-Security-Policy forbids it), names carry a hash so that a browser may keep them for ever, and every text lies
// beside its gzip, which the gateway sends as it is. gateway/build.rs takes dist/ into the program.
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig, type Plugin } from 'vite';

const TEXT = /\.(html|js|css|svg|json|webmanifest)$/;

function gzipped(): Plugin {
  return {
    name: 'gzipped',
    apply: 'build',
    closeBundle() {
      for (const file of readdirSync('dist', { recursive: true, encoding: 'utf8' })) {
        if (!TEXT.test(file)) continue;
        const text = readFileSync(join('dist', file)), small = gzipSync(text, { level: 9 });
        if (small.length < text.length) writeFileSync(join('dist', `${file}.gz`), small);
        else rmSync(join('dist', `${file}.gz`), { force: true });
      }
    },
  };
}

// While writing pages: `npm run dev` beside a running gateway.
const proxy = { '/api': process.env.GATEWAY ?? 'http://127.0.0.1:8080' };

export default defineConfig({
  server: { proxy },
  preview: { proxy },
  plugins: [svelte(), gzipped()],
  build: {
    target: 'es2023',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rollupOptions: {
      input: { board: 'index.html', worker: 'worker/index.html', report: 'report/index.html' },
      output: {
        // A service worker keeps its name: its address is its identity. Put one at src/worker/sw.ts and name it `sw` above.
        entryFileNames: ({ name }) => (name === 'sw' ? 'worker/sw.js' : 'assets/[name]-[hash].js'),
      },
    },
  },
});
