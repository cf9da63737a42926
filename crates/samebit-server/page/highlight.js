// Colours for code: a text to pieces {kind, text}. Pure and linear: one sticky pattern per language, tried where
// the last piece ended. It knows comments, strings, numbers and words, not grammars.
//
// Kinds: 'comment', 'string', 'number', 'keyword', 'type', 'call', 'tag', 'added', 'removed', or null for plain.

const MAX_LENGTH = 100_000;

const words = (text) => new Set(text.split(' '));
const DOUBLE = /"(?:[^"\\\n]|\\.)*"?/;
const SINGLE = /'(?:[^'\\\n]|\\.)*'?/;
// Nothing after the last repetition can fail, so nothing is tried twice.
const NUMBER = /\b\d\w*(?:\.\d\w*)?(?:(?<=[eE])[+-]\d\w*)?/;
const SLASHES = /\/\/[^\n]*|\/\*[^]*?(?:\*\/|$)/;
const HASH = /#[^\n]*/;
const WORD = /[\p{L}_$][\p{L}\p{N}_$]*!?/u;

const C_LIKE = { comment: SLASHES, string: [DOUBLE, SINGLE], number: NUMBER };
const LANGUAGES = {
  rust: {
    ...C_LIKE,
    // A lifetime is no character literal.
    string: [/b?r(#{0,3})"[^]*?(?:"\1|$)/, /b?"(?:[^"\\]|\\[^])*"?/, /b?'(?:[^'\\\n]|\\[^\n]{1,9})'/],
    keywords: words('as async await break const continue crate dyn else enum extern false fn for if impl in let loop match mod move mut pub ref return self Self static struct super trait true type unsafe use where while'),
  },
  python: {
    comment: HASH,
    string: [/[rbfRBF]{0,2}(?:"""[^]*?(?:"""|$)|'''[^]*?(?:'''|$))/, /[rbfRBF]{0,2}"(?:[^"\\\n]|\\.)*"?/, /[rbfRBF]{0,2}'(?:[^'\\\n]|\\.)*'?/],
    number: NUMBER,
    keywords: words('False None True and as assert async await break case class continue def del elif else except finally for from global if import in is lambda match nonlocal not or pass raise return self try while with yield'),
  },
  javascript: {
    ...C_LIKE,
    string: [DOUBLE, SINGLE, /`(?:[^`\\]|\\[^])*`?/],
    keywords: words('any as async await boolean break case catch class const continue default delete do else enum export extends false finally for from function if implements import in instanceof interface let new null number of private public readonly return static string super switch this throw true try type typeof undefined var void while yield'),
  },
  c: {
    ...C_LIKE,
    keywords: words('abstract auto bool boolean break byte case catch char class const constexpr continue default defer delete do double else enum explicit extends extern false final finally float for foreach func fun go goto if implements import in include inline int interface internal let long map namespace new nil null nullptr object operator out override package private protected public range return select short signed sizeof static string struct super switch template this throw true try type typedef typename union unsigned using val var virtual void volatile when where while'),
  },
  shell: {
    comment: /(?<![^\s;(])#[^\n]*/,
    string: [/"(?:[^"\\]|\\[^])*"?/, /'[^']*'?/],
    number: null,
    keywords: words('alias break case cd continue declare do done echo elif else esac eval exec exit export fi for function if in local read return set shift source sudo then trap unset until while'),
  },
  sql: {
    comment: /--[^\n]*|\/\*[^]*?(?:\*\/|$)/,
    string: [/'(?:[^']|'')*'?/, DOUBLE],
    number: NUMBER,
    ignoreCase: true,
    keywords: words('all alter and as asc begin between by case check commit constraint create cross default delete desc distinct drop else end except exists foreign from full group having if in index inner insert intersect into is join key left like limit not null offset on or order outer over partition primary references right rollback select set table then union unique update using values view when where with'),
  },
  data: { comment: /(?<!\S)#[^\n]*/, string: [DOUBLE, SINGLE], number: NUMBER, keywords: words('true false null yes no on off') },
  css: { comment: /\/\*[^]*?(?:\*\/|$)/, string: [DOUBLE, SINGLE], number: /#[0-9a-fA-F]{3,8}\b|-?\d+(?:\.\d+)?[a-z%]*/, keywords: words('important media supports import from to and not only') },
  markup: { comment: /<!--[^]*?(?:-->|$)/, string: [DOUBLE], tag: /<\/?[A-Za-z][\w:.-]*|\/?>/, number: null, keywords: new Set() },
  diff: { lines: true },
};

const ALIASES = {
  rs: 'rust', py: 'python', python3: 'python', js: 'javascript', jsx: 'javascript', ts: 'javascript', tsx: 'javascript',
  typescript: 'javascript', mjs: 'javascript', 'c++': 'c', cpp: 'c', cc: 'c', h: 'c', hpp: 'c', java: 'c', kotlin: 'c', go: 'c', golang: 'c',
  'c#': 'c', csharp: 'c', cs: 'c', swift: 'c', php: 'c', dart: 'c', scala: 'c', sh: 'shell', bash: 'shell', zsh: 'shell', console: 'shell',
  json: 'data', yaml: 'data', yml: 'data', toml: 'data', ini: 'data', html: 'markup', xml: 'markup', svg: 'markup', patch: 'diff', scss: 'css',
};

const patterns = new Map();

/** One pattern with a named group for each kind, in the order in which they win. */
function patternOf(name, language) {
  if (!patterns.has(name)) {
    const parts = Object.entries({ comment: language.comment, string: language.string, tag: language.tag, number: language.number, word: WORD })
      .filter(([, source]) => source)
      .map(([kind, source]) => `(?<${kind}>${joined([source].flat())})`);
    patterns.set(name, new RegExp(parts.join('|'), 'gu'));
  }
  return patterns.get(name);
}

/** Alternatives in one group. Rust's raw strings refer back to their own `#`s: by name, as groups are renumbered. */
function joined(sources) {
  return sources.map(({ source }) => source.replace('(#{0,3})', '(?<hashes>#{0,3})').replace('\\1', '\\k<hashes>')).join('|');
}

export function highlight(code, lang) {
  const name = ALIASES[lang.toLowerCase()] ?? lang.toLowerCase();
  const language = Object.hasOwn(LANGUAGES, name) ? LANGUAGES[name] : null;
  if (!language || code.length > MAX_LENGTH) return [{ kind: null, text: code }];
  return language.lines ? diff(code) : tokens(code, language, patternOf(name, language));
}

function tokens(code, language, pattern) {
  const pieces = [];
  const add = (kind, text) => {
    const last = pieces.at(-1);
    if (last?.kind === kind) last.text += text;
    else if (text !== '') pieces.push({ kind, text });
  };
  let at = 0;
  for (const match of code.matchAll(pattern)) {
    add(null, code.slice(at, match.index));
    const kind = Object.keys(match.groups).find((group) => group !== 'hashes' && match.groups[group] !== undefined);
    at = match.index + match[0].length;
    add(kind === 'word' ? kindOfWord(match[0], code[at], language) : kind, match[0]);
  }
  add(null, code.slice(at));
  return pieces;
}

function kindOfWord(word, next, { keywords, ignoreCase }) {
  if (keywords.has(ignoreCase ? word.toLowerCase() : word)) return 'keyword';
  if (next === '(' || word.endsWith('!')) return 'call';
  return /^\p{Lu}\p{N}*\p{Ll}/u.test(word) ? 'type' : null;
}

function diff(code) {
  return code.split(/(?<=\n)/).map((line) => {
    const kind = line.startsWith('+') ? 'added' : line.startsWith('-') ? 'removed' : line.startsWith('@@') ? 'comment' : null;
    return { kind, text: line };
  });
}
