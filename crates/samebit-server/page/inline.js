// Markdown's inline text: a string to a tree of plain objects. Pure, and bounded: nesting stops at MAX_NESTING, so
// hostile text costs no more than it is long.
//
// Nodes: strings, {type: 'strong' | 'em' | 'del', children}, {type: 'link', href, children}, {type: 'code' | 'math',
// text}, {type: 'break'}. A link's `href` has been judged by `safeUrl`; an image is a link: nothing is loaded.

const MAX_NESTING = 32;
const MAX_URL = 2000;
const PUNCTUATION = /[!-/:-@[-`{-~]/;
const ENTITIES = { '&amp;': '&', '&lt;': '<', '&gt;': '>', '&quot;': '"', '&#39;': "'", '&apos;': "'", '&nbsp;': '\u00a0' };
const ENTITY = /&(?:amp|lt|gt|quot|#39|apos|nbsp);/y;
// No space parts an address from Japanese or Chinese text: their punctuation and full-width forms end it.
const BARE_URL = /https?:\/\/[^\s<>"`\u3000-\u303f\uff00-\uffef]{1,2000}/y;
const ANGLE_LINK = /<((?:https?:\/\/|mailto:)[^\s<>]{1,2000})>/y;
const LINE_BREAK = /<br ?\/?>/iy;
const SPECIAL = /[\\`*_~[\]!<&\nh]/g;

/** The address if it may be a link's, else null: scripts, data and the page's own paths may not. */
export function safeUrl(text) {
  if (text.length > MAX_URL || /[\u0000-\u0020\u007f]/.test(text)) return null;
  let url;
  try {
    url = new URL(text);
  } catch {
    return null;
  }
  return ['http:', 'https:', 'mailto:'].includes(url.protocol) ? url.href : null;
}

export function parseInline(text) {
  return new Reader(text).read();
}

class Reader {
  constructor(text) {
    this.text = text;
    this.at = 0;
    this.nodes = []; // strings, nodes, delimiter runs {ch, n, open, close} and brackets {bracket, image}
    this.brackets = []; // where in `nodes` they are
    this.missing = new Set(); // lengths of backtick runs that do not come again; 'math' if no formula ends any more
  }

  read() {
    while (this.at < this.text.length) this.step();
    return nest(this.nodes);
  }

  step() {
    SPECIAL.lastIndex = this.at;
    const found = SPECIAL.exec(this.text);
    const until = found ? found.index : this.text.length;
    if (until > this.at) this.push(this.text.slice(this.at, until));
    this.at = until;
    if (!found) return;
    const done = this.special(found[0]);
    if (!done) {
      this.push(found[0]);
      this.at += 1;
    }
  }

  /** Reads what begins with a special character; false if it is only a character. */
  special(character) {
    switch (character) {
      case '\\': return this.escape();
      case '`': return this.code();
      case '*': case '_': case '~': return this.delimiters(character);
      case '[': return this.bracket(false);
      case '!': return this.text[this.at + 1] === '[' && this.bracket(true);
      case ']': return this.link();
      case '<': return this.angle();
      case '&': return this.match(ENTITY, ([entity]) => this.push(ENTITIES[entity]));
      case '\n': return this.take(1, { type: 'break' });
      default: return this.bareUrl();
    }
  }

  push(node) {
    const last = this.nodes.length - 1;
    if (typeof node === 'string' && typeof this.nodes[last] === 'string') this.nodes[last] += node;
    else this.nodes.push(node);
  }

  take(length, node) {
    this.push(node);
    this.at += length;
    return true;
  }

  match(pattern, then) {
    pattern.lastIndex = this.at;
    const match = pattern.exec(this.text);
    if (!match) return false;
    then(match);
    this.at += match[0].length;
    return true;
  }

  escape() {
    const next = this.text[this.at + 1] ?? '';
    if (next === '\n') return this.take(2, { type: 'break' });
    if (next === '(' && !this.missing.has('math')) {
      const end = this.text.indexOf('\\)', this.at + 2);
      if (end < 0) this.missing.add('math');
      else return this.take(end + 2 - this.at, { type: 'math', text: this.text.slice(this.at + 2, end).trim() });
    }
    return PUNCTUATION.test(next) && this.take(2, next);
  }

  run(character, from = this.at) {
    let end = from;
    while (this.text[end] === character) end += 1;
    return end - from;
  }

  code() {
    const length = this.run('`');
    if (!this.missing.has(length)) {
      for (let at = this.at + length; (at = this.text.indexOf('`', at)) >= 0; ) {
        const closing = this.run('`', at);
        if (closing === length) return this.take(at + length - this.at, codeNode(this.text.slice(this.at + length, at)));
        at += closing;
      }
      this.missing.add(length);
    }
    return this.take(length, '`'.repeat(length));
  }

  delimiters(ch) {
    const n = this.run(ch);
    if (ch === '~' && n !== 2) return this.take(n, '~'.repeat(n));
    const before = this.text[this.at - 1] ?? ' ';
    const after = this.text[this.at + n] ?? ' ';
    // More open than CommonMark: its rule about punctuation fails where words are not parted by spaces, as in
    // Japanese, and models write that all the time.
    const inWord = ch === '_' && isWord(before) && isWord(after);
    this.nodes.push({ ch, n, open: !inWord && /\S/.test(after), close: !inWord && /\S/.test(before) });
    this.at += n;
    return true;
  }

  bracket(image) {
    if (this.brackets.length < MAX_NESTING) this.brackets.push(this.nodes.length);
    else return false;
    this.nodes.push({ bracket: image ? '![' : '[' });
    this.at += image ? 2 : 1;
    return true;
  }

  /** `]`: with `(address)` after it, what came since the bracket becomes a link. */
  link() {
    const start = this.brackets.pop();
    if (start === undefined) return false;
    const target = this.text[this.at + 1] === '(' ? destination(this.text, this.at + 2) : null;
    if (!target) return false;
    const label = nest(this.nodes.splice(start).slice(1));
    const href = safeUrl(target.url);
    if (href === null) label.push(` (${target.url})`);
    else if (label.length === 0) label.push(target.url);
    this.at = target.end;
    // A link in a link is not one; and what leads nowhere safe is text.
    if (href === null || hasLink(label)) for (const node of label) this.push(node);
    else this.nodes.push({ type: 'link', href, children: label });
    return true;
  }

  angle() {
    if (this.match(LINE_BREAK, () => this.push({ type: 'break' }))) return true;
    return this.match(ANGLE_LINK, ([, url]) => this.push(linkTo(url)));
  }

  bareUrl() {
    if (/[A-Za-z0-9]/.test(this.text[this.at - 1] ?? ' ')) return false;
    BARE_URL.lastIndex = this.at;
    const match = BARE_URL.exec(this.text);
    if (!match) return false;
    const url = withoutTail(match[0]);
    return this.take(url.length, linkTo(url));
  }
}

const isWord = (character) => /[\p{L}\p{N}]/u.test(character);

function codeNode(text) {
  const line = text.replace(/\n/g, ' ');
  // One space on either side is there to keep backticks apart.
  const padded = line.startsWith(' ') && line.endsWith(' ') && line.trim() !== '';
  return { type: 'code', text: padded ? line.slice(1, -1) : line };
}

function linkTo(url) {
  const href = safeUrl(url);
  return href === null ? url : { type: 'link', href, children: [url.replace(/^mailto:/, '')] };
}

const hasLink = (nodes) => nodes.some((node) => node.type === 'link' || (node.children && hasLink(node.children)));

/** The address in `(address "title")`, and where it ends. */
function destination(text, from) {
  const end = Math.min(text.length, from + MAX_URL);
  let depth = 0;
  let at = from;
  for (; at < end; at += 1) {
    const character = text[at];
    if (character === '(') depth += 1;
    else if (character === ')' && depth-- === 0) break;
    else if (/\s/.test(character)) break;
  }
  const url = text.slice(from, at).replace(/^<(.*)>$/, '$1');
  const rest = /^(?:\s+(?:"[^"\n]{0,500}"|'[^'\n]{0,500}'))?\s*\)/.exec(text.slice(at, at + 520));
  return rest && url !== '' ? { url, end: at + rest[0].length } : null;
}

/** A sentence's punctuation is not its address's, nor is a bracket that the address did not open. */
function withoutTail(url) {
  let end = url.length;
  let extra = (url.match(/\)/g)?.length ?? 0) - (url.match(/\(/g)?.length ?? 0);
  for (; end > 0; end -= 1) {
    const last = url[end - 1];
    if (last === ')' && extra > 0) extra -= 1;
    else if (!/[.,;:!?'*_~\]]/.test(last)) break;
  }
  return url.slice(0, end);
}

/** Pairs delimiter runs (CommonMark's algorithm on a stack); what finds no partner is text. */
function nest(nodes) {
  const stack = [{ ch: '', n: 0, children: [] }];
  const counts = { '*': 0, _: 0, '~': 0 };
  const top = () => stack[stack.length - 1].children;
  for (const node of nodes) {
    if (node.bracket) add(top(), node.bracket);
    else if (!node.ch) add(top(), node);
    else {
      const left = node.close && counts[node.ch] > 0 ? close(node, stack, counts) : node.n;
      if (left === 0) continue;
      if (node.open && stack.length < MAX_NESTING) {
        stack.push({ ch: node.ch, n: left, children: [] });
        counts[node.ch] += 1;
      } else add(top(), node.ch.repeat(left));
    }
  }
  while (stack.length > 1) flatten(stack, counts);
  return stack[0].children;
}

/** Closes as many open runs as `run` has delimiters for; gives how many are left. */
function close(run, stack, counts) {
  let left = run.n;
  while (left > 0 && counts[run.ch] > 0) {
    while (stack[stack.length - 1].ch !== run.ch) flatten(stack, counts);
    const frame = stack[stack.length - 1];
    const used = Math.min(2, left, frame.n);
    // `~~` comes in twos only; a `**` run that meets a lone `*` closes one level of it.
    const type = run.ch === '~' ? 'del' : used === 2 ? 'strong' : 'em';
    const node = { type, children: frame.children };
    left -= used;
    frame.n -= used;
    if (frame.n > 0) {
      frame.children = [node];
      continue;
    }
    stack.pop();
    counts[run.ch] -= 1;
    add(stack[stack.length - 1].children, node);
  }
  return left;
}

/** The innermost open run has no partner: it was text. */
function flatten(stack, counts) {
  const { ch, n, children } = stack.pop();
  counts[ch] -= 1;
  const parent = stack[stack.length - 1].children;
  add(parent, ch.repeat(n));
  for (const child of children) add(parent, child);
}

function add(list, node) {
  const last = list.length - 1;
  if (typeof node === 'string' && typeof list[last] === 'string') list[last] += node;
  else list.push(node);
}
