import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// The page is served from wherever it is put, so its paths are relative. The package's hooks need the page's React, and not their own.
export default defineConfig({
  base: "./",
  plugins: [react()],
  resolve: { dedupe: ["react", "react-dom"] },
  // The development server stands before the service, so that there is one origin; in a browser others have to be in CORS_ALLOWED_ORIGINS.
  server: { host: "127.0.0.1", proxy: { "/v1": process.env["API_URL"] ?? "http://127.0.0.1:8080" } },
  build: { target: "es2022", sourcemap: true, chunkSizeWarningLimit: 1024 },
});
