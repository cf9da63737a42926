// Markdown's blocks: text to a tree of plain objects. Pure, and linear in the text but for nesting, which is
// bounded. Inline text stays text here (inline.js reads it), so a growing answer is cheap to read again.
//
// Where CommonMark and what models write disagree, models win: a line break is a line break, four spaces are not
// code, and a list nested by two spaces is nested. HTML is text.
//
// Blocks: {type, raw, …}: 'paragraph' and 'heading' {text, level}, 'code' {lang, text}, 'math' {text}, 'quote'
// {blocks}, 'list' {ordered, start, loose, items: [{task, blocks}]}, 'table' {align, head, rows}, 'rule'.

const MAX_DEPTH = 10;
const MAX_COLUMNS = 64;
const FENCE = /^ {0,3}(`{3,}|~{3,})(.*)$/;
const HEADING = /^ {0,3}(#{1,6})(?:[ \t](.*))?$/;
const RULE = /^ {0,3}(?:(?:\* *){3,}|(?:- *){3,}|(?:_ *){3,})$/;
const ITEM = /^( *)([-*+]|(\d{1,9})[.)])(?: +|$)/;
const DELIMITER_CELL = /^:?-+:?$/;

export function parse(text) {
  const lines = text.replace(/\r\n?/g, '\n').split('\n').map(expandTabs);
  return blocks(lines, 0);
}

/** Leading tabs to stops of four, as indentation is counted in columns. */
function expandTabs(line) {
  return line.replace(/^[ \t]*\t[ \t]*/, (space) => {
    let column = 0;
    for (const character of space) column += character === '\t' ? 4 - (column % 4) : 1;
    return ' '.repeat(column);
  });
}

function blocks(lines, depth) {
  const result = [];
  for (let at = 0; at < lines.length; ) {
    if (lines[at].trim() === '') {
      at += 1;
      continue;
    }
    const { block, next } = blockAt(lines, at, depth);
    result.push({ ...block, raw: lines.slice(at, next).join('\n') });
    at = next;
  }
  return result;
}

function blockAt(lines, at, depth) {
  const line = lines[at];
  const simple = fence(lines, at) ?? math(lines, at) ?? table(lines, at);
  if (simple) return simple;
  if (RULE.test(line)) return { block: { type: 'rule' }, next: at + 1 };
  const heading = HEADING.exec(line);
  if (heading) return { block: { type: 'heading', level: heading[1].length, text: headingText(heading[2] ?? '') }, next: at + 1 };
  if (depth < MAX_DEPTH) {
    if (isQuote(line)) return quote(lines, at, depth);
    if (ITEM.test(line)) return list(lines, at, depth);
  }
  return paragraph(lines, at, depth);
}

/** Closing `#`s are decoration. */
function headingText(text) {
  const trimmed = text.trim();
  let end = trimmed.length;
  while (end > 0 && trimmed[end - 1] === '#') end -= 1;
  return end === 0 || trimmed[end - 1] === ' ' ? trimmed.slice(0, end).trim() : trimmed;
}

function openingFence(line) {
  const match = FENCE.exec(line);
  // A backtick in the info string makes it a code span.
  return match && !(match[1][0] === '`' && match[2].includes('`')) ? match : null;
}

function closesFence(line, opening) {
  const trimmed = line.trim();
  return trimmed.length >= opening[1].length && trimmed === opening[1][0].repeat(trimmed.length);
}

function fence(lines, at) {
  const opening = openingFence(lines[at]);
  if (!opening) return null;
  const indent = lines[at].indexOf(opening[1]);
  let end = at + 1;
  while (end < lines.length && !closesFence(lines[end], opening)) end += 1;
  const text = lines.slice(at + 1, end).map((line) => unindent(line, indent)).join('\n');
  const lang = opening[2].trim().split(/\s/, 1)[0].slice(0, 40);
  return { block: { type: 'code', lang, text }, next: Math.min(end + 1, lines.length) };
}

const MATH = [['\\[', '\\]'], ['$$', '$$']];

/** Formulas are not set, only kept from being read as Markdown. */
function math(lines, at) {
  const start = lines[at].trim();
  const pair = MATH.find(([open]) => start.startsWith(open));
  if (!pair) return null;
  const inLine = start.indexOf(pair[1], 2);
  if (inLine >= 0) {
    if (inLine + 2 !== start.length) return null;
    return { block: { type: 'math', text: start.slice(2, -2).trim() }, next: at + 1 };
  }
  for (let end = at + 1; end < lines.length && lines[end].trim() !== ''; end += 1) {
    if (!lines[end].trimEnd().endsWith(pair[1])) continue;
    const text = lines.slice(at, end + 1).join('\n').trim();
    return { block: { type: 'math', text: text.slice(2, -2).trim() }, next: end + 1 };
  }
  return null;
}

function table(lines, at) {
  if (at + 1 >= lines.length || !lines[at].includes('|') || !lines[at + 1].includes('-')) return null;
  const delimiters = cells(lines[at + 1]);
  if (!delimiters.every((cell) => DELIMITER_CELL.test(cell))) return null;
  const head = cells(lines[at]);
  if (head.length !== delimiters.length || head.length > MAX_COLUMNS) return null;
  const align = delimiters.map((cell) => {
    if (cell.startsWith(':') && cell.endsWith(':') && cell.length > 1) return 'center';
    return cell.endsWith(':') ? 'end' : cell.startsWith(':') ? 'start' : null;
  });
  const rows = [];
  let next = at + 2;
  for (; next < lines.length && lines[next].trim() !== '' && lines[next].includes('|'); next += 1) {
    const row = cells(lines[next]).slice(0, head.length);
    while (row.length < head.length) row.push('');
    rows.push(row);
  }
  return { block: { type: 'table', align, head, rows }, next };
}

/** A row's cells; a `|` that is escaped or in a code span is text. */
function cells(line) {
  const trimmed = line.trim();
  const result = [''];
  let code = false;
  for (let at = 0; at < trimmed.length; at += 1) {
    const character = trimmed[at];
    if (character === '\\' && trimmed[at + 1] === '|') {
      result[result.length - 1] += '|';
      at += 1;
      continue;
    }
    if (character === '`') code = code ? false : trimmed.indexOf('`', at + 1) > 0;
    if (character === '|' && !code) result.push('');
    else result[result.length - 1] += character;
  }
  if (trimmed.startsWith('|')) result.shift();
  if (trimmed.endsWith('|') && result.length > 1 && result.at(-1) === '') result.pop();
  return result.map((cell) => cell.trim());
}

const isQuote = (line) => /^ {0,3}>/.test(line);

function quote(lines, at, depth) {
  const inner = [];
  let next = at;
  for (; next < lines.length; next += 1) {
    if (isQuote(lines[next])) inner.push(expandTabs(lines[next].replace(/^ {0,3}> ?/, '')));
    else if (lines[next].trim() !== '' && inner.at(-1)?.trim() && !interrupts(lines, next)) inner.push(lines[next]);
    else break;
  }
  return { block: { type: 'quote', blocks: blocks(inner, depth + 1) }, next };
}

function list(lines, at, depth) {
  const first = ITEM.exec(lines[at]);
  const ordered = first[3] !== undefined;
  const items = [];
  let loose = false;
  let next = at;
  while (next < lines.length) {
    const marker = ITEM.exec(lines[next]);
    if (!marker || (marker[3] !== undefined) !== ordered || RULE.test(lines[next])) break;
    const { inner, end, blankAfter } = item(lines, next, marker);
    const { task, content } = taskOf(inner);
    const inside = blocks(content, depth + 1);
    const more = end < lines.length && ITEM.test(lines[end]);
    loose ||= (blankAfter && more) || inside.some(({ type }, at) => type === 'paragraph' && inside[at - 1]?.type === 'paragraph');
    items.push({ task, blocks: inside });
    next = end;
  }
  return { block: { type: 'list', ordered, start: ordered ? Number(first[3]) : null, loose, items }, next };
}

/** The lines of one item, without their indentation; `end` is the first line after it. */
function item(lines, at, marker) {
  const own = marker[1].length;
  const width = Math.min(marker[0].length, own + marker[2].length + 4);
  const inner = [lines[at].slice(width)];
  let open = openingFence(inner[0]);
  let end = at + 1;
  let blanks = 0;
  for (; end < lines.length; end += 1) {
    const line = lines[end];
    if (line.trim() === '') {
      inner.push('');
      blanks += 1;
      continue;
    }
    const indent = line.length - line.trimStart().length;
    const belongs = open !== null || indent >= width || (indent >= own + 2 && (blanks === 0 || ITEM.test(line)));
    const lazy = blanks === 0 && !ITEM.test(line) && !interrupts(lines, end);
    if (!belongs && !lazy) break;
    blanks = 0;
    const content = unindent(line, width);
    inner.push(content);
    if (open === null) open = openingFence(content);
    else if (closesFence(content, open)) open = null;
  }
  return { inner, end, blankAfter: blanks > 0 };
}

function taskOf(inner) {
  const match = /^\[([ xX])\] /.exec(inner[0]);
  if (!match) return { task: null, content: inner };
  return { task: match[1] !== ' ', content: [inner[0].slice(4), ...inner.slice(1)] };
}

function unindent(line, columns) {
  let at = 0;
  while (at < columns && line[at] === ' ') at += 1;
  return line.slice(at);
}

/** Whether a line ends the paragraph above it. */
function interrupts(lines, at) {
  const line = lines[at];
  if (openingFence(line) || HEADING.test(line) || RULE.test(line) || isQuote(line)) return true;
  const item = ITEM.exec(line);
  // "1986. A good year." in the middle of a paragraph is no list; "1." is.
  if (item && item[0].length < line.length && (item[3] === undefined || item[3] === '1')) return true;
  return table(lines, at) !== null;
}

function paragraph(lines, at, depth) {
  let next = at + 1;
  while (next < lines.length && lines[next].trim() !== '' && (depth >= MAX_DEPTH || !interrupts(lines, next))) next += 1;
  const text = lines.slice(at, next).map((line) => line.trimStart()).join('\n').trimEnd();
  return { block: { type: 'paragraph', text }, next };
}
