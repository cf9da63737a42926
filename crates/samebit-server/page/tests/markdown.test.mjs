// Markdown, links, highlighting, events and comparisons without a browser.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { firstDifference, judge, showCharacter } from '../compare.js';
import { freshRequest, path, requestBody, siblings } from '../conversation.js';
import { highlight } from '../highlight.js';
import { parseInline, safeUrl } from '../inline.js';
import { parse } from '../markdown.js';
import { parseField, FIELDS, sane } from '../settings.js';
import { SseParser } from '../stream.js';
import { splitThinking } from '../thinking.js';

const types = (text) => parse(text).map(({ type }) => type);
/** Inline nodes written short: em(…), strong(…), link<href>(…). */
function short(nodes) {
  return nodes
    .map((node) => {
      if (typeof node === 'string') return node;
      if (node.type === 'break') return '⏎';
      if (node.type === 'code' || node.type === 'math') return `${node.type}(${node.text})`;
      return `${node.type}${node.href ? `<${node.href}>` : ''}(${short(node.children)})`;
    })
    .join('');
}
const inline = (text) => short(parseInline(text));

test('blocks are told apart', () => {
  assert.deepEqual(types('# A\ntext\nmore\n\n- x\n- y\n\n> q\n\n---\n```rs\nfn\n```\n|a|b|\n|-|-|\n|1|2|'), [
    'heading', 'paragraph', 'list', 'quote', 'rule', 'code', 'table',
  ]);
  assert.deepEqual(types('In\n1986. it began'), ['paragraph']);
  assert.deepEqual(types('\\[\nx_1 * y_1\n\\]\n\n$$a$$'), ['math', 'math']);
});

test('a fence that is not closed yet is code to the end', () => {
  const [block] = parse('```python\nprint("*hi*")\n\n# not a heading');
  assert.equal(block.type, 'code');
  assert.equal(block.lang, 'python');
  assert.equal(block.text, 'print("*hi*")\n\n# not a heading');
});

test('lists nest, hold code, count and check', () => {
  const [list] = parse('3. one\n  - inner\n    deeper text\n4. two\n   ```sh\n   ls\n\n   cd\n   ```\n   after');
  assert.deepEqual([list.ordered, list.start, list.items.length, list.loose], [true, 3, 2, false]);
  assert.deepEqual(list.items[0].blocks.map(({ type }) => type), ['paragraph', 'list']);
  assert.deepEqual(list.items[1].blocks.map(({ type, text }) => [type, text]), [['paragraph', 'two'], ['code', 'ls\n\ncd'], ['paragraph', 'after']]);
  assert.deepEqual(parse('- [x] a\n- [ ] b\n- c')[0].items.map(({ task }) => task), [true, false, null]);
  assert.equal(parse('- a\n\n- b')[0].loose, true);
});

test('tables keep escaped bars and code, and fill short rows', () => {
  const [table] = parse('| a | b |\n|:-:|--:|\n| x \\| y | `p|q` |\n| 1 |\n\nafter');
  assert.deepEqual(table.align, ['center', 'end']);
  assert.deepEqual(table.rows, [['x | y', '`p|q`'], ['1', '']]);
});

test('inline text', () => {
  assert.equal(inline('a *b* **c** ***d*** ~~e~~ `f*g*`'), 'a em(b) strong(c) em(strong(d)) del(e) code(f*g*)');
  assert.equal(inline('snake_case_name 2 * 3 * 4 _it_'), 'snake_case_name 2 * 3 * 4 em(it)');
  assert.equal(inline('**「強調」**です'), 'strong(「強調」)です');
  assert.equal(inline('**open *both'), '**open *both');
  assert.equal(inline('*a **b* c**'), 'em(a em(em(b) c))');
  assert.equal(inline('\\*no\\* \\(x_1 * 2\\)\nline<br>&lt;b&gt;'), '*no* math(x_1 * 2)⏎line⏎<b>');
  assert.equal(inline('`` a`b `` and ` open'), 'code(a`b) and ` open');
});

test('links', () => {
  assert.equal(inline('[a *b*](https://x.org/(1) "t") c'), 'link<https://x.org/(1)>(a em(b)) c');
  assert.equal(inline('see https://x.org/a_b_c. (https://x.org/d)'), 'see link<https://x.org/a_b_c>(https://x.org/a_b_c). (link<https://x.org/d>(https://x.org/d))');
  assert.equal(inline('詳細はhttps://x.org/a。次'), '詳細はlink<https://x.org/a>(https://x.org/a)。次');
  assert.equal(inline('![alt](https://x.org/i.png)'), 'link<https://x.org/i.png>(alt)');
  assert.equal(inline('[not a link] [a](b c)'), '[not a link] [a](b c)');
});

test('what could run is text', () => {
  assert.equal(inline('<img src=x onerror=alert(1)>'), '<img src=x onerror=alert(1)>');
  assert.equal(inline('[x](javascript:alert(1))'), 'x (javascript:alert(1))');
  for (const url of ['javascript:alert(1)', 'JaVaScRiPt:alert(1)', 'java\tscript:alert(1)', ' javascript:1', 'data:text/html,x', 'vbscript:x', 'blob:x', '//x.org', '/props', 'file:///etc']) {
    assert.equal(safeUrl(url), null, url);
  }
  assert.equal(safeUrl('https://x.org/?q=a'), 'https://x.org/?q=a');
});

// Time that grows with the square of the length runs into the bound; it is far from what is needed.
test('hostile text costs no more than it is long', { timeout: 120_000 }, async () => {
  const hostile = ['*a _b ', '[', '![](', '`', '``a`', '> ', '- ', '**a*', '\\(', '<http://', '|a', '$$\n', '~~', '&', 'h', '_*~~[', '\n> - > - ', '[a](b'];
  const breath = () => new Promise((resolve) => setImmediate(resolve));
  for (const piece of hostile) {
    await breath();
    const text = piece.repeat(100_000 / piece.length);
    const walk = (blocks) => blocks.forEach((block) => (block.text !== undefined && parseInline(block.text), walk(block.blocks ?? block.items ?? [])));
    walk(parse(text));
    parseInline(text);
  }
  const code = ['1', '1a', '"', "'", '/*', '#', 'r#"', '`', '<', '"""', '\\', '--', '1e+', "b'"].map((piece) => `${piece.repeat(60_000 / piece.length)}a_`);
  for (const text of code) for (const lang of ['rust', 'python', 'js', 'c', 'sh', 'sql', 'json', 'css', 'html', 'diff']) {
    await breath();
    assert.equal(highlight(text, lang).map((piece) => piece.text).join('').length, text.length);
  }
});

test('highlighting keeps every character', () => {
  const code = 'fn main<\'a>() { // hi\n  let s = r#"x"y"#; println!("{}", 0x1F); }\n"open';
  const pieces = highlight(code, 'rust');
  assert.equal(pieces.map(({ text }) => text).join(''), code);
  const kind = (text) => pieces.find((piece) => piece.text === text)?.kind;
  assert.deepEqual(['fn', '// hi', 'r#"x"y"#', '0x1F', 'println!'].map(kind), ['keyword', 'comment', 'string', 'number', 'call']);
  for (const lang of ['python', 'ts', 'sh', 'sql', 'json', 'css', 'html', 'diff', 'c++', '__proto__', '']) {
    assert.equal(highlight(code, lang).map(({ text }) => text).join(''), code, lang);
  }
});

test('events arrive whole however the bytes are cut', () => {
  const stream = '\uFEFF: hi\r\nid: 1\r\ndata: {"a":\r\ndata: 1}\r\n\r\nevent: error\rdata:x\r\rdata: last\n\nid: 9\n\ndata: half';
  const whole = new SseParser().push(stream);
  assert.deepEqual(whole, [{ id: '1', event: 'message', data: '{"a":\n1}' }, { id: null, event: 'error', data: 'x' }, { id: null, event: 'message', data: 'last' }]);
  for (let size = 1; size < 9; size += 1) {
    const parser = new SseParser();
    const cut = [];
    for (let at = 0; at < stream.length; at += size) cut.push(...parser.push(stream.slice(at, at + size)));
    assert.deepEqual(cut, whole, `pieces of ${size}`);
  }
});

test('reasoning is told from the answer', () => {
  assert.deepEqual(splitThinking('<thi'), { thoughts: '', answer: '', thinking: true });
  assert.deepEqual(splitThinking('<think>\na'), { thoughts: 'a', answer: '', thinking: true });
  assert.deepEqual(splitThinking('<think>a</think>\n\nb'), { thoughts: 'a', answer: 'b', thinking: false });
  assert.deepEqual(splitThinking('a</think>b'), { thoughts: 'a', answer: 'b', thinking: false });
  assert.equal(splitThinking('Write <think>x</think> so.').thoughts, '');
});

test('the first difference is found, in characters', () => {
  assert.equal(firstDifference('same', 'same'), null);
  const difference = firstDifference('a😀b', 'a😀c');
  assert.deepEqual([difference.index, difference.before, difference.ours.at, difference.theirs.at], [2, 'a😀', 'b', 'c']);
  assert.equal(firstDifference('ab', 'a').theirs.at, '');
  assert.equal(showCharacter('\n').name, 'U+000A');
});

test('a replay is judged by text and digest', () => {
  const verdict = (a, b, partial = false) => judge(a, b, partial).verdict;
  assert.equal(verdict({ text: 'a', digest: '1' }, { text: 'a', digest: '1' }), 'same');
  assert.equal(verdict({ text: 'a', digest: '1' }, { text: 'a', digest: '2' }), 'differs');
  assert.equal(verdict({ text: 'a', digest: '1' }, { text: 'b', digest: '1' }), 'differs');
  assert.equal(verdict({ text: 'a' }, { text: 'a' }), 'text');
  assert.equal(verdict({ text: 'a' }, { text: 'ab', digest: '1' }, true), 'prefix');
  assert.equal(verdict({ text: 'ab' }, { text: 'a', digest: '1' }, true), 'differs');
});

test('a request is the same at every replay; another answer takes another seed', () => {
  const request = { model: 'm', system: 's', seed: 0 };
  const conversation = {
    nodes: {
      a: { id: 'a', parent: null, role: 'user', text: 'q', created: 1 },
      b: { id: 'b', parent: 'a', role: 'assistant', text: '<think>t</think>r', created: 2, request },
      c: { id: 'c', parent: 'b', role: 'user', text: 'q2', created: 3 },
      d: { id: 'd', parent: 'c', role: 'assistant', text: '', created: 4, request },
    },
    leaf: 'd',
  };
  assert.deepEqual(requestBody(conversation, conversation.nodes.d), {
    model: 'm', seed: 0, stream: true, stream_options: { include_usage: true }, samebit: true,
    messages: [{ role: 'system', content: 's' }, { role: 'user', content: 'q' }, { role: 'assistant', content: 'r' }, { role: 'user', content: 'q2' }],
  });
  assert.equal(freshRequest(conversation, 'c', request).seed, 1);
  assert.equal(freshRequest(conversation, 'c', { ...request, temperature: 1 }).seed, 0);
  assert.deepEqual(path(conversation, 'b').map(({ id }) => id), ['a', 'b']);
  assert.equal(siblings(conversation, conversation.nodes.d).length, 1);
});

test('parameters are checked', () => {
  const field = (name) => FIELDS.find((candidate) => candidate.name === name);
  assert.deepEqual(parseField(field('temperature'), ''), { value: null });
  assert.deepEqual(parseField(field('seed'), ''), { value: 0 });
  assert.ok(parseField(field('top_p'), '1.1').problem);
  assert.ok(parseField(field('top_k'), '1.5').problem);
  assert.ok(parseField(field('seed'), '-1').problem);
  assert.deepEqual(sane({ temperature: 'x', top_k: -4, seed: 7, system: 3 }), { ...sane({}), seed: 7 });
});
