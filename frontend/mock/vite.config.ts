import tailwindcss from "@tailwindcss/vite";
import vue from "@vitejs/plugin-vue";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** The front end against a scripted server in the page. For looking at it; never built into it. */
export default defineConfig({
  root: here("."),
  cacheDir: here("../node_modules/.vite-mock"),
  plugins: [
    vue(),
    tailwindcss(),
    {
      name: "mock-socket",
      enforce: "pre",
      resolveId: (source, importer) =>
        source === "./socket" && importer?.endsWith("/live/live.ts") ? here("socket.ts") : null,
    },
  ],
  resolve: { alias: { "@": here("../src") } },
  server: { host: "127.0.0.1", port: 0, fs: { allow: [here("..")] } },
});
