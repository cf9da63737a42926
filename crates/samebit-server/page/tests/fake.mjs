// A server without a model: serves the page as the real one does (paths, content security policy) and answers by a
// script. What a test sends chooses the script; what was asked is kept for the test to look at.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PAGE = fileURLToPath(new URL('..', import.meta.url));
const TYPES = { '.html': 'text/html; charset=utf-8', '.css': 'text/css; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.svg': 'image/svg+xml' };

/** What was written has arrived by then: a browser throws away what it has not read when a connection breaks. */
const BREAK_AFTER_MS = 100;

/** Every answer of the page carries these; the real server's are no weaker than the page needs. */
export const PAGE_HEADERS = { 'Content-Security-Policy': "default-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'", 'X-Content-Type-Options': 'nosniff' };

/** Serves the page's files; true if `path` was one. */
export function servePage(path, response) {
  const name = path === '/' ? 'index.html' : /^\/page\/([a-z]+\.(?:js|css|svg))$/.exec(path)?.[1];
  if (!name) return false;
  try {
    const body = readFileSync(join(PAGE, name));
    response.writeHead(200, { 'Content-Type': TYPES[extname(name)], ...PAGE_HEADERS }).end(body);
  } catch {
    response.writeHead(404).end();
  }
  return true;
}

export class Fake {
  requests = []; // {body, headers} of each completion asked for
  key = null;
  /** `(body, headers, times asked before) => {tokens, delay, breakAfter, digest, status, ids}` */
  script = () => ({});

  async start() {
    this.server = createServer((request, response) => void this.#answer(request, response));
    await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    this.url = `http://127.0.0.1:${this.server.address().port}/`;
    return this;
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }

  async #answer(request, response) {
    const path = new URL(request.url, this.url).pathname;
    if (servePage(path, response)) return;
    let text = '';
    for await (const piece of request) text += piece;
    const json = (status, value, headers = {}) => response.writeHead(status, { 'Content-Type': 'application/json', ...headers }).end(JSON.stringify(value));
    if (this.key !== null && request.headers.authorization !== `Bearer ${this.key}`) return json(401, { error: { message: 'Invalid API key' } });
    if (path === '/v1/models') return json(200, { object: 'list', data: [{ id: 'fake-1', object: 'model' }] });
    if (path === '/props') return json(200, { default_generation_settings: { n_ctx: 4096, params: { temperature: 0.800000011920929, top_k: 40 } } });
    if (path === '/tokenize') return json(200, { tokens: JSON.parse(text).content.split(/\s+/) });
    if (path !== '/v1/chat/completions') return json(404, { error: { message: 'Not found' } });
    const body = JSON.parse(text);
    const before = this.requests.length;
    this.requests.push({ body, headers: request.headers });
    const script = { tokens: answerTo(body), delay: 1, ...this.script(body, request.headers, before) };
    if (script.status) return json(script.status, { error: { message: script.message } }, script.headers);
    await this.#stream(request, response, script);
  }

  async #stream(request, response, { tokens, delay, breakAfter, digest, ids = true }) {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    const from = ids && request.headers['last-event-id'] ? Number(request.headers['last-event-id']) + 1 : 0;
    const event = (id, chunk) => response.write(`${ids ? `id: ${id}\n` : ''}data: ${JSON.stringify(chunk)}\n\n`);
    for (let at = from; at < tokens.length; at += 1) {
      if (response.destroyed) return;
      if (breakAfter !== undefined && at - from >= breakAfter) return void setTimeout(() => response.destroy(), BREAK_AFTER_MS);
      event(at, { object: 'chat.completion.chunk', model: 'fake-1', choices: [{ index: 0, delta: { content: tokens[at] }, finish_reason: null }] });
      if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay));
    }
    event(tokens.length, { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }], system_fingerprint: 'v1-fake' });
    const usage = { prompt_tokens: 7, completion_tokens: tokens.length, total_tokens: 7 + tokens.length };
    event(tokens.length + 1, { choices: [], usage, samebit: { logits_digest: digest ?? digestOf(tokens) } });
    response.end('data: [DONE]\n\n');
  }
}

/** Tokens that depend on the seed and the question, as a model's do. */
function answerTo({ seed, messages }) {
  return `Answer ${seed} to ${messages.at(-1).content}`.split(/(?<=\s)/);
}

export function digestOf(tokens) {
  return createHash('sha256').update(tokens.join('\0')).digest('hex');
}
