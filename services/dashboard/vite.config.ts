import react from '@vitejs/plugin-react';
import {defineConfig} from 'vite';

/**
 * admin-api serves what this builds with a strict Content-Security-Policy, so nothing may be inlined: no data: fonts, no inline scripts.
 * In development (`vite`), calls go to an admin-api on 127.0.0.1:8080.
 */
export default defineConfig({
  plugins: [react()],
  build: {
    emptyOutDir: true,
    target: 'es2023',
    assetsInlineLimit: 0,
    modulePreload: {polyfill: false},
    sourcemap: false,
  },
  server: {host: '127.0.0.1', proxy: {'/api': 'http://127.0.0.1:8080'}},
});
