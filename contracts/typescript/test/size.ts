// Tells how much a page has to load for this package, and fails where it is more than it should be.
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const limit = 10_000; // bytes, gzipped

const bundle = await build({
  entryPoints: [fileURLToPath(new URL("../src/index.ts", import.meta.url))],
  bundle: true, minify: true, format: "esm", platform: "browser", target: "es2022", write: false,
});
const [file] = bundle.outputFiles;
const size = gzipSync((file as NonNullable<typeof file>).contents).length;
console.log(`@callplane/client with all that it needs: ${size} bytes gzipped (at most ${limit})`);
if (size > limit) process.exitCode = 1;
