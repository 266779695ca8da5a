import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

const SANS = "node_modules/@fontsource-variable/ibm-plex-sans/files/ibm-plex-sans-latin-wght-normal.woff2";
const MONO = "node_modules/@fontsource/ibm-plex-mono/files/ibm-plex-mono-latin-400-normal.woff2";

/** A small script that runs before the first paint, so that the theme chosen last time does not flash in. */
function bootScript(): Plugin {
  let file = "";
  return {
    name: "boot-script",
    apply: "build",
    generateBundle() {
      file = this.getFileName(this.emitFile({ type: "asset", name: "theme.js", source: readFileSync("src/boot/theme.js", "utf8") }));
    },
    transformIndexHtml: {
      order: "post",
      handler: () => [{ tag: "script", attrs: { src: `/${file}` }, injectTo: "head-prepend" }],
    },
  };
}

/** The two fonts of every first view are asked for at once, so that text never moves when they arrive. */
function preloadFonts(): Plugin {
  return {
    name: "preload-fonts",
    transformIndexHtml: {
      order: "post",
      handler(_html, { bundle }) {
        const built = Object.keys(bundle ?? {});
        return ["ibm-plex-sans-latin-wght-normal", "ibm-plex-mono-latin-400-normal"].flatMap((name) => {
          const file = built.find((path) => path.includes(name) && path.endsWith(".woff2"));
          const attrs = { rel: "preload", as: "font", type: "font/woff2", href: `/${file}`, crossorigin: "" };
          return file ? [{ tag: "link", attrs, injectTo: "head" as const }] : [];
        });
      },
    },
  };
}

/** The licences of what the bundle contains go with it. */
function licences(): Plugin {
  return {
    name: "licences",
    generateBundle() {
      const lock = JSON.parse(readFileSync("package-lock.json", "utf8")) as { packages: Record<string, { dev?: true }> };
      const parts = Object.entries(lock.packages).flatMap(([path, entry]) => {
        if (!path || entry.dev || !existsSync(path)) return [];
        const file = readdirSync(path).find((name) => /^licen[cs]e/i.test(name));
        return file ? [`${path.replace("node_modules/", "")}\n\n${readFileSync(join(path, file), "utf8").trim()}\n`] : [];
      });
      this.emitFile({ type: "asset", name: "licences.txt", source: parts.join(`\n${"-".repeat(80)}\n\n`) });
    },
  };
}

// Nothing may be inline (the policy allows files of our own origin only), and all styles are there before the first paint.
export default defineConfig({
  plugins: [react(), bootScript(), preloadFonts(), licences()],
  base: "/",
  resolve: { alias: { "@fonts/sans": join(import.meta.dirname, SANS), "@fonts/mono": join(import.meta.dirname, MONO) } },
  build: {
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    modulePreload: { polyfill: false },
    target: "es2023",
    sourcemap: false,
    reportCompressedSize: true,
  },
});
