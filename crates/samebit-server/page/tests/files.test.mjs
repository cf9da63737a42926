// The files themselves: what is imported exists, what exists is listed, and nothing turns text into markup or code.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const PAGE = fileURLToPath(new URL('..', import.meta.url));
const names = readdirSync(PAGE).filter((name) => /\.(js|css|svg|html)$/.test(name));
const read = (name) => readFileSync(PAGE + name, 'utf8');

test('every import and every address in the page leads to a file', () => {
  for (const name of names) {
    const wanted = [...read(name).matchAll(/from '\.\/([^']+)'|"\/page\/([^"]+)"/g)].map((match) => match[1] ?? match[2]);
    for (const file of wanted) assert.ok(names.includes(file), `${name} wants ${file}`);
  }
});

test('the README lists every file that is served, and no other', () => {
  const listed = [...read('README.md').matchAll(/^\| `([a-z]+\.(?:js|css|svg|html))` \|/gm)].map((match) => match[1]);
  assert.deepEqual(listed.sort(), names.sort());
});

test('nothing turns text into markup or code, and nothing comes from elsewhere', () => {
  const banned = /innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|\beval\(|new Function|DOMParser|srcdoc|\sstyle="|\son[a-z]+="|@import|url\(|https?:\/\/(?!www\.w3\.org\/2000\/svg)[a-z]/;
  for (const name of names) assert.doesNotMatch(read(name), banned, name);
});

test('files are small and begin with what they are', () => {
  for (const name of names.filter((name) => /\.(js|css)$/.test(name))) {
    const text = read(name);
    assert.ok(text.split('\n').length <= 300, name);
    assert.match(text, /^(\/\/|\/\*) \S/, name);
  }
});
