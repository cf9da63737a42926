// A headless Chromium, driven over a pipe with its own protocol: nothing to install besides the browser.
// Knows the DevTools protocol, and of the page only that its `main` is inert until it is ready.

import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'];
const WAIT_MS = 8000;

function executable() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  for (const name of NAMES) {
    try {
      return execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim();
    } catch {
      // The next name.
    }
  }
  throw new Error(`No Chromium: install one (Debian: apt-get install chromium) or name it in CHROMIUM`);
}

export class Browser {
  #next = 1;
  #waiting = new Map();
  #listeners = new Set();

  static async start() {
    const browser = new Browser();
    browser.profile = mkdtempSync(join(tmpdir(), 'samebit-page-'));
    const flags = ['--headless=new', '--remote-debugging-pipe', '--no-first-run', '--disable-gpu', '--disable-dev-shm-usage', '--hide-scrollbars', `--user-data-dir=${browser.profile}`];
    // Root, as in a container, has no sandbox.
    if (process.getuid?.() === 0) flags.push('--no-sandbox');
    browser.process = spawn(executable(), [...flags, 'about:blank'], { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
    browser.#listen(browser.process.stdio[4]);
    return browser;
  }

  #listen(pipe) {
    let rest = '';
    pipe.setEncoding('utf8');
    pipe.on('data', (data) => {
      const messages = (rest + data).split('\0');
      rest = messages.pop();
      for (const message of messages) this.#message(JSON.parse(message));
    });
  }

  #message({ id, result, error, method, params, sessionId }) {
    if (id === undefined) {
      for (const listener of this.#listeners) listener({ method, params, sessionId });
      return;
    }
    const { resolve, reject, what } = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error) reject(new Error(`${what}: ${error.message}`));
    else resolve(result);
  }

  send(method, params = {}, sessionId = undefined) {
    const id = this.#next++;
    this.process.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject, what: method }));
  }

  /** A page with storage of its own. */
  async page(url, { width = 1100, height = 800, scale = 1 } = {}) {
    const { browserContextId } = await this.send('Target.createBrowserContext');
    const { targetId } = await this.send('Target.createTarget', { url: 'about:blank', browserContextId });
    const { sessionId } = await this.send('Target.attachToTarget', { targetId, flatten: true });
    const page = new Page((method, params) => this.send(method, params, sessionId), browserContextId);
    this.#listeners.add((event) => event.sessionId === sessionId && page.heard(event));
    for (const domain of ['Page', 'Runtime', 'Log']) await page.send(`${domain}.enable`);
    await page.send('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: scale, mobile: width < 600 });
    await page.send('Emulation.setFocusEmulationEnabled', { enabled: true });
    await page.open(url);
    return page;
  }

  async close(page) {
    await this.send('Target.disposeBrowserContext', { browserContextId: page.context });
  }

  async stop() {
    const gone = new Promise((resolve) => this.process.once('exit', resolve));
    this.process.kill();
    await gone;
    rmSync(this.profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  }
}

const KEYS = { Enter: 13, Escape: 27, Tab: 9, ArrowUp: 38, ArrowDown: 40 };

class Page {
  constructor(send, context) {
    this.send = send;
    this.context = context;
    this.problems = []; // exceptions, console errors, violations of the content security policy
    this.dialogs = [];
  }

  heard({ method, params }) {
    if (method === 'Runtime.exceptionThrown') this.problems.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
    if (method === 'Log.entryAdded' && params.entry.level === 'error' && params.entry.source !== 'network') this.problems.push(params.entry.text);
    if (method === 'Page.downloadWillBegin') this.downloaded?.(params.suggestedFilename);
    if (method === 'Page.javascriptDialogOpening') {
      this.dialogs.push(params.message);
      void this.send('Page.handleJavaScriptDialog', { accept: true });
    }
  }

  async open(url) {
    await this.send('Page.navigate', { url });
    await this.until(`document.readyState === 'complete' && document.querySelector('main:not([inert])') !== null`);
  }

  async evaluate(expression) {
    const { result, exceptionDetails } = await this.send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true, userGesture: true });
    if (exceptionDetails) throw new Error(`${exceptionDetails.exception?.description ?? exceptionDetails.text}\nin: ${expression}`);
    return result.value;
  }

  /** Waits until an expression is true, and gives its value. */
  async until(expression, what = expression) {
    const end = Date.now() + WAIT_MS;
    for (;;) {
      const value = await this.evaluate(expression).catch(() => false);
      if (value) return value;
      if (Date.now() > end) throw new Error(`Waited in vain for: ${what}\npage: ${await this.evaluate('document.body.innerText.slice(0, 1500)')}\n${this.problems.join('\n')}`);
      await new Promise((resolve) => setTimeout(resolve, 15));
    }
  }

  text(selector) {
    return this.evaluate(`document.querySelector(${JSON.stringify(selector)})?.innerText ?? null`);
  }

  click(selector) {
    return this.until(`(() => { const e = document.querySelector(${JSON.stringify(selector)}); e?.click(); return e !== null; })()`, `something to click at ${selector}`);
  }

  type(text) {
    return this.send('Input.insertText', { text });
  }

  /** Presses a key as a keyboard does. `modifiers`: Alt 1, Ctrl 2, Shift 8. */
  async key(key, modifiers = 0) {
    const letter = /^[a-z]$/.test(key);
    const code = letter ? `Key${key.toUpperCase()}` : key === '/' ? 'Slash' : key;
    const windowsVirtualKeyCode = KEYS[key] ?? key.toUpperCase().charCodeAt(0);
    const text = key === 'Enter' ? '\r' : undefined;
    const event = { key, code, windowsVirtualKeyCode, modifiers };
    await this.send('Input.dispatchKeyEvent', { type: text ? 'keyDown' : 'rawKeyDown', text, ...event });
    await this.send('Input.dispatchKeyEvent', { type: 'keyUp', ...event });
  }

  /** The name of the next file that the page hands over. */
  download() {
    return new Promise((resolve) => (this.downloaded = resolve));
  }

  async screenshot() {
    const { data } = await this.send('Page.captureScreenshot', { format: 'png' });
    return Buffer.from(data, 'base64');
  }
}
