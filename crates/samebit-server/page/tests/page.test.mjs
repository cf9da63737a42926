// The whole page in a headless Chromium against a scripted server: what a person does, and what they then see.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';

import { Browser } from './browser.mjs';
import { digestOf, Fake } from './fake.mjs';

let browser;
let fake;
let page;

before(async () => (browser = await Browser.start()));
after(() => browser.stop());

beforeEach(async () => {
  fake = await new Fake().start();
  page = await browser.page(fake.url);
  await page.until(`document.activeElement.id === 'message' && document.getElementById('model').textContent === 'fake-1'`);
});

afterEach(async () => {
  const { problems, dialogs } = page;
  await browser.close(page);
  fake.stop();
  assert.deepEqual(problems, []);
  assert.deepEqual(dialogs, []);
});

const answers = `[...document.querySelectorAll('.answer > .prose')].map((e) => e.innerText)`;
const done = (count = 1) => page.until(`document.querySelectorAll('.answer .facts').length === ${count}`, `${count} finished answers`);

async function send(text) {
  await page.evaluate(`document.getElementById('message').focus()`);
  await page.type(text);
  await page.key('Enter');
}

/** Words that come slowly enough to be caught on the way. */
const slow = (count) => ({ tokens: Array.from({ length: count }, (_, at) => `word${at} `), delay: 15 });

test('a message is sent and its answer streamed, with what is known of it', async () => {
  fake.script = () => slow(40);
  await send('Hello');
  await page.until(`document.querySelector('.answer[aria-busy=true] > .prose')?.innerText.includes('word3')`);
  assert.equal(await page.evaluate(`document.querySelector('.facts')`), null);
  await done();
  const { body } = fake.requests[0];
  assert.deepEqual(body, { model: 'fake-1', seed: 0, messages: [{ role: 'user', content: 'Hello' }], stream: true, stream_options: { include_usage: true }, samebit: true });
  const facts = await page.text('.facts');
  for (const part of [/seed 0/, /tokens\/s/, /first token \d+ ms/, /40 tokens/, new RegExp(digestOf(slow(40).tokens).slice(0, 12))]) assert.match(facts, part);
  assert.match(await page.text('#context'), /^47 of 4,096 tokens used$/);
  assert.match(await page.evaluate(`document.getElementById('announcer').innerText`), /Answering[^]*word39[^]*complete/);
});

test('Escape stops an answer; it can be resumed and keeps what it has', async () => {
  fake.script = () => slow(60);
  await send('Hello');
  await page.until(`document.querySelector('.answer > .prose')?.innerText.includes('word5')`);
  await page.key('Escape');
  await page.until(`document.querySelector('.notice')?.innerText.startsWith('Stopped.')`);
  assert.ok(!(await page.text('.answer > .prose')).includes('word59'));
  await page.click('.notice button');
  await page.until(`document.querySelector('.answer > .prose').innerText.includes('word59')`);
  await done();
  assert.equal((await page.text('.answer > .prose')).trim(), slow(60).tokens.join('').trim());
  assert.ok(Number(fake.requests[1].headers['last-event-id']) >= 5);
});

test('regenerating takes the next seed and keeps the first answer', async () => {
  await send('Hello');
  await done();
  await page.click('[data-action=regenerate]');
  await page.until(`${answers}[0] === 'Answer 1 to Hello'`);
  await done();
  assert.equal(await page.text('.versions span'), '2 / 2');
  await page.click('[data-action=previous]');
  await page.until(`${answers}[0] === 'Answer 0 to Hello'`);
  assert.equal(await page.evaluate(`document.activeElement.dataset.action`), 'previous');
});

test('a message is edited: another branch, and the old one stays', async () => {
  await send('Hello');
  await done();
  await page.click('[data-action=edit]');
  await page.evaluate(`document.activeElement.select()`);
  await page.type('Goodbye');
  await page.key('Enter');
  await page.until(`${answers}[0] === 'Answer 0 to Goodbye'`);
  assert.deepEqual(fake.requests[1].body.messages, [{ role: 'user', content: 'Goodbye' }]);
  await page.click('.user [data-action=previous]');
  await page.until(`${answers}[0] === 'Answer 0 to Hello'`);
});

test('a replay that is the same gets a quiet tick', async () => {
  await send('Hello');
  await done();
  await page.click('[data-action=replay]');
  await page.until(`document.querySelector('.replay.same[data-verdict=same]')`);
  assert.deepEqual(fake.requests[1].body, fake.requests[0].body);
  assert.match(await page.text('.replay'), /the same, text and digest/);
});

test('a replay that differs says so, at the first differing character', async () => {
  fake.script = (body, headers, before) => ({ tokens: ['The sky ', 'is ', before === 0 ? 'blue.' : 'black.'] });
  await send('Hello');
  await done();
  await page.click('[data-action=replay]');
  await page.until(`document.querySelector('.replay.differs')`);
  const report = await page.text('.replay.differs');
  assert.match(report, /character 14 differs/);
  assert.match(report, /The sky is bl\s*u/);
  assert.deepEqual(await page.evaluate(`[...document.querySelectorAll('.differs mark')].map((e) => e.innerText)`), ['u', 'a']);
});

test('a replay with equal text and another digest is no replay', async () => {
  fake.script = (body, headers, before) => ({ digest: String(before).repeat(64) });
  await send('Hello');
  await done();
  await page.click('[data-action=replay]');
  await page.until(`document.querySelector('.replay.differs')`);
  assert.match(await page.text('.replay'), /texts are equal, the digests differ/);
});

test('a stream that breaks is resumed after its last event', async () => {
  fake.script = (body, headers, before) => ({ ...slow(20), delay: 1, breakAfter: before < 2 ? 6 : undefined });
  await send('Hello');
  await done();
  assert.deepEqual(fake.requests.map(({ headers }) => headers['last-event-id']), [undefined, '5', '11']);
  assert.deepEqual(fake.requests[2].body, fake.requests[0].body);
  assert.equal((await page.text('.answer > .prose')).trim(), slow(20).tokens.join('').trim());
  assert.match(await page.text('.notice'), /broke 2 times; resumed/);
});

test('a server without event ids begins again, and nothing is doubled', async () => {
  fake.script = (body, headers, before) => ({ ...slow(10), delay: 1, ids: false, breakAfter: before === 0 ? 4 : undefined });
  await send('Hello');
  await done();
  assert.equal(fake.requests[1].headers['last-event-id'], undefined);
  assert.equal((await page.text('.answer > .prose')).trim(), slow(10).tokens.join('').trim());
});

test('a busy server is asked again when it says; a refusal is shown', async () => {
  fake.script = (body, headers, before) => (before === 0 ? { status: 429, message: 'The queue is full', headers: { 'Retry-After': '0.05' } } : {});
  await send('Hello');
  await done();
  assert.equal(fake.requests.length, 2);
  fake.script = () => ({ status: 400, message: 'The prompt is too long' });
  await send('More');
  await page.until(`document.querySelector('.notice.error')?.innerText.includes('The prompt is too long')`);
});

test('401 asks for the key and goes on', async () => {
  fake.key = 'secret';
  await send('Hello');
  await page.until(`document.activeElement.id === 'key-field'`);
  await page.type('wrong');
  await page.key('Enter');
  await page.until(`document.getElementById('key-why')?.innerText.includes('does not accept')`);
  await page.until(`document.activeElement.id === 'key-field' && document.activeElement.value === ''`);
  await page.type('secret');
  await page.key('Enter');
  await done();
  assert.equal(fake.requests.length, 1);
});

test('markup in an answer stays text', async () => {
  const hostile = '<img src=x onerror="alert(1)"><script>alert(2)</script>\n\n[click](javascript:alert(3)) [ok](https://example.org/) ![i](https://example.org/i.png)\n\n- <b onclick=alert(4)>b</b>\n\n```html\n<svg onload=alert(5)>\n```\n\n|<i>|\n|-|\n|<iframe src="javascript:alert(6)">|';
  fake.script = () => ({ tokens: [...hostile] , delay: 0 });
  await send(hostile);
  await done();
  assert.equal(await page.evaluate(`document.querySelectorAll('#thread :is(img, script, iframe, b, svg:not(.icon), [onclick], [onerror])').length`), 0);
  assert.deepEqual(await page.evaluate(`[...document.querySelectorAll('#thread a')].map((a) => a.getAttribute('href') + ' ' + a.rel)`), [
    'https://example.org/ noopener noreferrer nofollow', 'https://example.org/i.png noopener noreferrer nofollow',
  ]);
  assert.ok((await page.text('.answer > .prose')).includes('<img src=x onerror="alert(1)">'));
  assert.equal(await page.evaluate(`document.querySelector('.code code').textContent`), '<svg onload=alert(5)>');
});

test('reasoning is folded and not sent back', async () => {
  fake.script = (body, headers, before) => (before === 0 ? { tokens: ['<think>', 'two and two', '</think>', '\n\n', 'Four.'] } : {});
  await send('2+2?');
  await done();
  assert.deepEqual(await page.evaluate(`[document.querySelector('.thinking').open, document.querySelector('.answer > .prose').innerText]`), [false, 'Four.']);
  await send('Sure?');
  await done(2);
  assert.equal(fake.requests[1].body.messages[1].content, 'Four.');
});

test('parameters and the system prompt go with the request', async () => {
  await page.key('s', 1);
  await page.until(`document.querySelector('dialog.settings')`);
  assert.equal(await page.evaluate(`document.getElementById('field-temperature').placeholder`), '0.8');
  const fill = async (id, text) => {
    await page.evaluate(`(document.getElementById('${id}').focus(), document.activeElement.select())`);
    await page.type(text);
  };
  await fill('field-seed', '42');
  await fill('field-temperature', '0');
  await fill('field-top_p', '7');
  await fill('field-system', 'Be brief.');
  assert.equal(await page.evaluate(`document.getElementById('field-top_p').getAttribute('aria-invalid')`), 'true');
  await page.key('Escape');
  await send('Hello');
  await done();
  const { body } = fake.requests[0];
  assert.deepEqual([body.seed, body.temperature, body.top_p, body.messages[0]], [42, 0, undefined, { role: 'system', content: 'Be brief.' }]);
  assert.equal(await page.text('#parameters'), 'seed 42 · temperature 0 · system prompt');
});

test('conversations survive a reload; renaming, deleting and undoing hold', async () => {
  await send('First question');
  await done();
  await page.key('n', 1);
  await page.until(`!document.getElementById('welcome').hidden`);
  await send('Second question');
  await done();
  const titles = `[...document.querySelectorAll('#conversations .open')].map((e) => e.innerText)`;
  await page.open(await page.evaluate('location.href'));
  await page.until(`${answers}[0] === 'Answer 0 to Second question'`);
  assert.deepEqual(await page.evaluate(titles), ['Second question', 'First question']);
  const menu = async (text) => {
    await page.click('#conversations .current .more');
    await page.evaluate(`[...document.querySelectorAll(':popover-open button')].find((e) => e.innerText === '${text}').click()`);
  };
  await menu('Rename');
  await page.type('Renamed');
  await page.key('Enter');
  await page.until(`${titles}[0] === 'Renamed'`);
  await menu('Delete');
  await page.until(`${titles}.length === 1`);
  await page.click('.toast button');
  await page.until(`${titles}[0] === 'Renamed' && document.getElementById('title').innerText === 'Renamed'`);
  await page.open(fake.url);
  await page.until(`${titles}.length === 2`);
});

test('an answer that a reload cut off can be resumed', async () => {
  fake.script = () => slow(50);
  await send('Hello');
  await page.until(`document.querySelector('.answer > .prose')?.innerText.includes('word5')`);
  await page.open(await page.evaluate('location.href.replace("#", "?again#")'));
  await page.until(`document.querySelector('.notice button')`);
  await page.click('.notice button');
  await done();
  assert.equal((await page.text('.answer > .prose')).trim(), slow(50).tokens.join('').trim());
  assert.ok(Number(fake.requests[1].headers['last-event-id']) > 0);
});

test('a stopped answer that something follows does not grow; its replay is compared as far as it goes', async () => {
  fake.script = ({ messages }) => (messages.length === 1 ? slow(60) : {});
  await send('Hello');
  await page.until(`document.querySelector('.answer > .prose')?.innerText.includes('word5')`);
  await page.key('Escape');
  await page.until(`document.querySelector('.notice button')`);
  await page.click('[data-action=replay]');
  await page.until(`document.querySelector('.replay[data-verdict=prefix]')`);
  await send('Go on');
  await done(2);
  assert.equal(await page.evaluate(`document.querySelector('.notice button')`), null);
  assert.match(fake.requests.at(-1).body.messages[1].content, /^word0 .*word5/);
});

test('what is exported is a file', async () => {
  await send('Hello');
  await done();
  await page.key('s', 1);
  const name = page.download();
  await page.evaluate(`[...document.querySelectorAll('dialog button')].find((e) => e.innerText === 'Export all').click()`);
  assert.match(await name, /^samebit-\d{4}-\d\d-\d\d\.json$/);
});

test('export and import give the conversation back; a bad file changes nothing', async () => {
  await send('Hello');
  await done();
  const store = `(await import('/page/store.js'))`;
  const result = await page.evaluate(`(async () => {
    const store = ${store};
    const all = await store.all();
    const [back] = store.imported(store.exported(all));
    const refusals = ['{', '{}', '{"format":"samebit-conversations","version":1,"conversations":[{"nodes":{"a":{"id":"a","parent":"a","role":"user","text":""}}}]}']
      .map((text) => { try { store.imported(text); return 'taken'; } catch (error) { return error.message; } });
    return { nodes: [back.nodes, all[0].nodes], fresh: back.id !== all[0].id, refusals };
  })()`);
  assert.deepEqual(result.nodes[0], result.nodes[1]);
  assert.ok(result.fresh);
  assert.deepEqual(result.refusals, ['This is not a JSON file', 'This file does not come from "Export"', 'Conversation 1: messages in a circle']);
});

test('everything can be reached with the keyboard, and what has the focus shows it', async () => {
  await send('Hello');
  await done();
  const seen = new Set();
  for (let presses = 0; presses < 40; presses += 1) {
    await page.key('Tab');
    const at = await page.evaluate(`(() => { const e = document.activeElement; const s = getComputedStyle(e); return [e.getAttribute('aria-label') || e.innerText || e.id, s.outlineStyle !== 'none' || e.id === 'message' || e.id === 'scroller' || e === document.body]; })()`);
    assert.ok(at[1], `${at[0]} shows no focus`);
    seen.add(at[0].trim());
  }
  for (const name of ['Skip to the message box', 'New conversation', 'Hello', 'Copy answer', 'Copy the request as JSON', 'seed 0', 'Keyboard']) assert.ok(seen.has(name), `${name} in ${[...seen]}`);
  await page.key('/', 1);
  await page.until(`document.querySelector('dialog.shortcuts')`);
  await page.key('Escape');
  await page.until(`!document.querySelector('dialog')`);
  await page.key('r', 1);
  await done();
  await page.until(`${answers}[0] === 'Answer 1 to Hello'`);
  await page.key('p', 1);
  await page.until(`document.querySelector('.replay.same')`);
});

test('every control has a name, and colours have contrast, light and dark', async () => {
  fake.script = () => ({ tokens: ['Text with `code` and\n\n```rust\nfn main() { let x = "s"; /* c */ f(1); }\n```\n\n> quote [link](https://example.org)'] });
  await send('Hello');
  await done();
  for (const theme of ['light', 'dark']) {
    await page.until(`document.documentElement.dataset.theme === '${theme}' || (document.getElementById('theme').click(), false)`);
    const low = await page.evaluate(`(${lowContrast})()`);
    assert.deepEqual(low, [], theme);
  }
  const nameless = await page.evaluate(`[...document.querySelectorAll('button, input, textarea, select, a')].filter((e) => !(e.innerText || e.getAttribute('aria-label') || e.labels?.length || e.type === 'file')).map((e) => e.outerHTML)`);
  assert.deepEqual(nameless, []);
});

/** Runs in the page: texts whose contrast with what is behind them is below 4.5 (WCAG 2, AA). */
function lowContrast() {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const over = (top, under) => [0, 1, 2].map((i) => (top[i] * top[3] + under[i] * (255 - top[3])) / 255);
  const behind = (element) => {
    if (!element) return [255, 255, 255];
    const colour = rgba(getComputedStyle(element).backgroundColor);
    return colour[3] === 255 ? colour.slice(0, 3) : over(colour, behind(element.parentElement));
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const low = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    const element = text.parentElement;
    if (text.data.trim() === '' || !element.checkVisibility() || element.closest('[aria-disabled=true], noscript')) continue;
    const back = behind(element);
    const [a, b] = [light(over(rgba(getComputedStyle(element).color), back)), light(back)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) low.push(`${text.data.trim().slice(0, 30)}: ${ratio.toFixed(2)}`);
  }
  return low;
}

test('narrow windows: nothing is wider than the window, and the drawer opens and closes', async () => {
  const narrow = await browser.page(fake.url, { width: 390, height: 780 });
  await narrow.until(`!document.getElementById('main').inert`);
  await narrow.click('#toggle-sidebar');
  await narrow.until(`document.activeElement.id === 'new' && document.getElementById('main').inert`);
  await narrow.key('Escape');
  await narrow.until(`document.activeElement.id === 'toggle-sidebar' && !document.getElementById('main').inert`);
  fake.script = () => ({ tokens: [`${'unbroken'.repeat(40)}\n\n\`\`\`\n${'long '.repeat(60)}\n\`\`\`\n\n|${'a|'.repeat(12)}\n|${'-|'.repeat(12)}\n|${'wide cell|'.repeat(12)}`] });
  await narrow.evaluate(`document.getElementById('message').focus()`);
  await narrow.type('x'.repeat(300));
  await narrow.click('#send');
  await narrow.until(`document.querySelector('.facts')`);
  assert.deepEqual(await narrow.evaluate(`[document.documentElement.scrollWidth, document.getElementById('scroller').scrollWidth]`), [390, 390]);
  assert.deepEqual(narrow.problems, []);
  await browser.close(narrow);
});

test('a conversation goes on being answered while another is open', async () => {
  fake.script = ({ messages }) => (messages[0].content === 'Slow' ? slow(40) : {});
  await send('Slow');
  await page.until(`document.querySelector('.answer > .prose')?.innerText.includes('word2')`);
  await page.key('n', 1);
  await send('Quick');
  await page.until(`${answers}[0] === 'Answer 0 to Quick'`);
  await page.key('ArrowDown', 1);
  await page.until(`${answers}[0]?.includes('word39')`);
});
