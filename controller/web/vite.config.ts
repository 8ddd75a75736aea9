import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { svelte } from '@sveltejs/vite-plugin-svelte'
import { defineConfig } from 'vitest/config'

const out = fileURLToPath(new URL('dist', import.meta.url))

/** Writes each file's compressed forms beside it: the controller embeds all of them and compresses nothing itself. */
function precompress() {
  return {
    name: 'precompress',
    apply: 'build' as const,
    closeBundle() {
      for (const entry of readdirSync(out, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile() || !/\.(html|js|css|svg|txt)$/.test(entry.name)) continue
        const file = join(entry.parentPath, entry.name)
        const bytes = readFileSync(file)
        writeFileSync(`${file}.gz`, gzipSync(bytes, { level: 9 }))
        const params = { [constants.BROTLI_PARAM_QUALITY]: 11 }
        writeFileSync(`${file}.br`, brotliCompressSync(bytes, { params }))
      }
      // The folder is committed, so that cargo can watch it; what is in it is not.
      writeFileSync(join(out, '.gitignore'), '*\n!.gitignore\n')
    },
  }
}

export default defineConfig({
  plugins: [svelte(), precompress()],
  build: {
    outDir: out,
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    // How long plugins took is no news to whoever builds.
    rolldownOptions: { checks: { pluginTimings: false } },
  },
  // `npm run dev` beside a running controller.
  server: { proxy: { '/api': { target: process.env.ROADSTEAD_URL ?? 'http://127.0.0.1:8080' } } },
  test: { include: ['src/**/*.test.ts'] },
})
