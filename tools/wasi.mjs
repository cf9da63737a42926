// Runs a WASI program in node: `node --no-warnings tools/wasi.mjs [--dir FOLDER]... MODULE ARGUMENTS...`
//
// The program sees the current folder as `.`, each further FOLDER under its own name, and no environment.
import { readFileSync } from 'node:fs';
import { WASI } from 'node:wasi';

const MEBIBYTE = 1 << 20;
const PAGE = 1 << 16;
const args = process.argv.slice(2);
const preopens = { '.': '.' };
while (args[0] === '--dir') {
  const [, folder] = args.splice(0, 2);
  preopens[folder] = folder;
}
if (args.length === 0) {
  console.error('usage: wasi.mjs [--dir FOLDER]... MODULE ARGUMENTS...');
  process.exit(2);
}
const wasi = new WASI({ version: 'preview1', args, env: {}, preopens, returnOnExit: true });
const module = await WebAssembly.compile(readFileSync(args[0]));
const instance = await WebAssembly.instantiate(module, wasi.getImportObject());
// The heap starts here: growing it later, from within a WASI call, lets some of node's V8 collect garbage that is none.
instance.exports.memory.grow(1024 * MEBIBYTE / PAGE);
process.exitCode = wasi.start(instance);
