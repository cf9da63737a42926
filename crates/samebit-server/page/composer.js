// The message box: typing, sending, stopping, counting tokens. Knows the DOM and one request (`/tokenize`).

import { countTokens } from './api.js';
import { icon } from './dom.js';

const COUNT_AFTER_MS = 350;
const touch = matchMedia('(hover: none) and (pointer: coarse)');

export class Composer {
  #drafts = new Map();
  #open = null;
  #busy = false;
  #timer = null;
  #counting = null;

  constructor({ form, field, button, count, actions }) {
    Object.assign(this, { form, field, button, count, actions });
    form.addEventListener('submit', (event) => (event.preventDefault(), this.#busy ? actions.stop() : this.#send()));
    field.addEventListener('input', () => this.#typed());
    field.addEventListener('keydown', (event) => this.#key(event));
    this.setBusy(false);
  }

  #key(event) {
    // Enter that chooses a character (Japanese, Chinese, Korean) does not send.
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key === 'Enter' && !event.shiftKey && !touch.matches) {
      event.preventDefault();
      this.#send();
    } else if (event.key === 'ArrowUp' && this.field.value === '') {
      event.preventDefault();
      this.actions.editLast();
    }
  }

  #send() {
    const text = this.field.value.trim();
    if (text === '' || this.#busy) return;
    this.set('');
    this.actions.send(text);
  }

  set(text) {
    this.field.value = text;
    this.#typed();
  }

  /** Another conversation is open: its own draft. */
  open(id) {
    if (this.#open === id) return;
    this.#drafts.set(this.#open, this.field.value);
    this.#open = id;
    this.set(this.#drafts.get(id) ?? '');
  }

  /** The button sends, or stops what is on its way. */
  setBusy(busy) {
    this.#busy = busy;
    const label = busy ? 'Stop (Esc)' : 'Send (Enter)';
    this.button.replaceChildren(icon(busy ? 'stop' : 'send'));
    this.button.title = label;
    this.button.setAttribute('aria-label', label);
    this.button.classList.toggle('stop', busy);
    this.#able();
  }

  #able() {
    this.button.setAttribute('aria-disabled', String(!this.#busy && this.field.value.trim() === ''));
  }

  #typed() {
    this.field.style.height = 'auto';
    this.field.style.height = `${this.field.scrollHeight}px`;
    this.#able();
    clearTimeout(this.#timer);
    this.#counting?.abort();
    if (this.field.value === '') this.count.textContent = '';
    else this.#timer = setTimeout(() => this.#count(), COUNT_AFTER_MS);
  }

  async #count() {
    this.#counting = new AbortController();
    const { signal } = this.#counting;
    const tokens = await countTokens(this.field.value, signal);
    if (!signal.aborted) this.count.textContent = tokens === null ? '' : `${tokens.toLocaleString('en')} ${tokens === 1 ? 'token' : 'tokens'}`;
  }

  focus() {
    this.field.focus();
  }
}
