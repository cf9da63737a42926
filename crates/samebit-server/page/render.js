// Markdown's tree to DOM nodes. Every string becomes a text node or a checked attribute, so an answer cannot bring
// markup, scripts or images into the page. Knows the trees of markdown.js and inline.js, and the DOM.

import { copyFrom, h, iconButton } from './dom.js';
import { highlight } from './highlight.js';
import { parseInline } from './inline.js';
import { parse } from './markdown.js';

/** First letter of a script that runs from right to left. */
const RIGHT_TO_LEFT = /^[^\p{L}]*[\p{Script=Arabic}\p{Script=Hebrew}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}\p{Script=Adlam}]/u;

/** Headings of an answer stand under the page's and the message's own. */
const HEADING_OFFSET = 2;

/**
 * Shows `text` in `container`. Blocks that have not changed since the last call keep their nodes, so that a growing
 * answer costs only its last block, and what is selected stays selected. Gives the blocks.
 */
export function renderMarkdown(container, text) {
  const blocks = parse(text);
  for (const [index, block] of blocks.entries()) {
    const old = container.children[index];
    if (old && old.samebitRaw === block.raw) continue;
    const fresh = renderBlock(block);
    fresh.samebitRaw = block.raw;
    if (old) old.replaceWith(fresh);
    else container.append(fresh);
  }
  while (container.childElementCount > blocks.length) container.lastElementChild.remove();
  return blocks;
}

function renderBlock(block) {
  switch (block.type) {
    case 'heading': return h(`h${Math.min(6, block.level + HEADING_OFFSET)}`, { dir: 'auto' }, inline(block.text));
    case 'code': return codeBlock(block);
    case 'math': return h('pre', { class: 'math', tabindex: '0', 'aria-label': 'Formula', role: 'group' }, block.text);
    case 'quote': return h('blockquote', { dir: direction(block) }, block.blocks.map(renderBlock));
    case 'list': return list(block);
    case 'table': return table(block);
    case 'rule': return h('hr');
    default: return h('p', { dir: 'auto' }, inline(block.text));
  }
}

/** For what has blocks inside: `dir="auto"` does not look into elements that have a direction of their own. */
function direction({ raw }) {
  return RIGHT_TO_LEFT.test(raw) ? 'rtl' : 'ltr';
}

function inline(text) {
  return parseInline(text).map(inlineNode);
}

function inlineNode(node) {
  if (typeof node === 'string') return node;
  switch (node.type) {
    case 'break': return h('br');
    case 'code': return h('code', { dir: 'ltr' }, node.text);
    case 'math': return h('code', { class: 'math', dir: 'ltr' }, node.text);
    case 'link':
      return h('a', { href: node.href, target: '_blank', rel: 'noopener noreferrer nofollow' }, node.children.map(inlineNode));
    default: return h(node.type, {}, node.children.map(inlineNode));
  }
}

function codeBlock({ lang, text }) {
  const code = h('code', {}, highlight(text, lang).map(({ kind, text: piece }) => (kind ? h('span', { class: `tok-${kind}` }, piece) : piece)));
  const button = iconButton('copy', 'Copy code', () => copyFrom(button, text), { class: 'quiet' });
  return h(
    'figure',
    { class: 'code', dir: 'ltr' },
    h('figcaption', {}, h('span', {}, lang || 'text'), button),
    h('pre', { tabindex: '0', role: 'group', 'aria-label': `Code, ${lang || 'text'}` }, code),
  );
}

function list(block) {
  const { ordered, start, loose, items } = block;
  const tasks = items.some(({ task }) => task !== null);
  const kind = [loose ? 'loose' : 'tight', tasks ? 'tasks' : ''].join(' ').trim();
  return h(ordered ? 'ol' : 'ul', { class: kind, start: ordered && start !== 1 ? start : null, dir: direction(block) }, items.map((item) => listItem(item, loose)));
}

function listItem({ task, blocks }, loose) {
  const box = task === null ? null : h('input', { type: 'checkbox', disabled: true, checked: task, 'aria-label': task ? 'Done' : 'To do' });
  // In a tight list a paragraph is only its text.
  const content = blocks.map((block) => (block.type === 'paragraph' && !loose ? inline(block.text) : renderBlock(block)));
  return h('li', {}, box, content);
}

function table(block) {
  const { align, head, rows } = block;
  const cell = (tag, text, column) => h(tag, { dir: 'auto', class: align[column] && `align-${align[column]}`, scope: tag === 'th' ? 'col' : null }, inline(text));
  return h(
    'div',
    { class: 'table', tabindex: '0', role: 'group', 'aria-label': 'Table' },
    h(
      'table',
      { dir: direction(block) },
      h('thead', {}, h('tr', {}, head.map((text, column) => cell('th', text, column)))),
      h('tbody', {}, rows.map((row) => h('tr', {}, row.map((text, column) => cell('td', text, column))))),
    ),
  );
}

/** A block as it is read aloud: code is named, not spelled out. */
export function spoken(block, element) {
  if (block.type === 'code') return `Code, ${block.lang || 'text'}, ${block.text.split('\n').length} lines`;
  return element?.textContent ?? '';
}
