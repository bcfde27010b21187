// Writes dist/: the page, its script and its style under names that change with their content, and both compressed.
import { readFile, readdir, rm, writeFile } from "node:fs/promises";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { build } from "esbuild";

const root = new URL(".", import.meta.url).pathname;
const assets = `${root}dist/assets/`;

await rm(`${root}dist`, { recursive: true, force: true });
await build({
  entryPoints: { app: `${root}src/main.tsx` },
  outdir: assets,
  entryNames: "[name]-[hash]",
  bundle: true,
  minify: true,
  charset: "utf8",
  format: "esm",
  target: ["es2022", "chrome111", "firefox115", "safari16.4"],
  legalComments: "none",
});

const names = await readdir(assets);
const only = (ending) => {
  const found = names.filter((name) => name.endsWith(ending));
  if (found.length !== 1) throw new Error(`expected one asset *${ending}, found ${found.join(", ") || "none"}`);
  return found[0];
};
const template = await readFile(`${root}src/index.html`, "utf8");
const page = template
  .replace("{{SCRIPT}}", `assets/${only(".js")}`)
  .replace("{{STYLE}}", `assets/${only(".css")}`);
await writeFile(`${root}dist/index.html`, page);

let [plain, gzip, brotli] = Array(3).fill(gzipSync(page, { level: 9 }).length);
plain = page.length;
for (const name of names) {
  const content = await readFile(assets + name);
  const compressed = {
    gz: gzipSync(content, { level: 9 }),
    br: brotliCompressSync(content, {
      params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: content.length },
    }),
  };
  for (const [ending, bytes] of Object.entries(compressed)) await writeFile(`${assets}${name}.${ending}`, bytes);
  plain += content.length;
  gzip += compressed.gz.length;
  brotli += compressed.br.length;
}

const kilobytes = (bytes) => `${(bytes / 1024).toFixed(1)} KB`;
console.log(`dist: ${kilobytes(plain)}, ${kilobytes(gzip)} as gzip, ${kilobytes(brotli)} as brotli`);
const BUDGET = 150 * 1024;
if (gzip > BUDGET) throw new Error(`more than the ${kilobytes(BUDGET)} that may be sent`);
