// The thread: the messages of the open conversation, and where it is scrolled to.
// Knows messages and the DOM; nothing of the server or storage.

import { announce } from './announce.js';
import { path } from './conversation.js';
import { h } from './dom.js';
import { sayReplay } from './facts.js';
import { AnswerMessage, UserMessage } from './message.js';

/** So near to the end, the thread follows it. */
const NEAR = 80;

const EXAMPLES = ['Explain why the sky is blue, in three sentences.', 'Write a function in Rust that reverses a list.', 'Plan a quiet weekend in a small town by the sea.'];

export class Thread {
  #messages = new Map();
  #dirty = new Map();
  #frame = null;
  #following = true;
  #actions;

  constructor({ scroller, list, welcome, jump, actions }) {
    Object.assign(this, { scroller, list, welcome, jump });
    this.#actions = actions;
    welcome.querySelector('.examples').append(...EXAMPLES.map((text) => h('button', { type: 'button', onclick: () => actions.example(text) }, text)));
    scroller.addEventListener('scroll', () => this.#scrolled(), { passive: true });
    jump.addEventListener('click', () => this.follow());
    new ResizeObserver(() => this.#settle()).observe(list);
  }

  /** Shows a conversation. `focus`: `{id, action}` of the button that should have the focus afterwards. */
  show(conversation, { focus = null, keepPlace = false } = {}) {
    const nodes = path(conversation);
    const old = this.#messages;
    this.#messages = new Map();
    for (const node of nodes) {
      const known = old.get(node.id);
      const message = known?.node === node ? known : new (node.role === 'user' ? UserMessage : AnswerMessage)(node, this.#actions);
      if (message === known) message.update();
      this.#messages.set(node.id, message);
    }
    this.list.replaceChildren(...[...this.#messages.values()].map(({ element }) => element));
    this.welcome.hidden = nodes.length > 0;
    if (focus) this.list.querySelector(`[data-id="${CSS.escape(focus.id)}"] [data-action="${focus.action}"]`)?.focus();
    if (!keepPlace) this.follow();
  }

  /** Something happened to a message: 'begun', 'text', 'notice', 'ended', 'replay'. Shown with the next frame. */
  changed(node, what) {
    const message = this.#messages.get(node.id);
    if (!message) return;
    if (what === 'ended') {
      message.update();
      message.readRest();
      announce(node.result.state === 'done' ? 'The answer is complete.' : message.notice.textContent);
    } else if (what === 'replay') {
      message.updateReplay();
      if (node.replay) announce(sayReplay(node.replay));
    } else if (what === 'text') this.#later(node.id);
    else message.updateState();
    if (what === 'notice' && !message.notice.hidden) announce(message.notice.textContent);
  }

  #later(id) {
    this.#dirty.set(id, true);
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = null;
      for (const dirty of this.#dirty.keys()) this.#messages.get(dirty)?.updateText();
      this.#dirty.clear();
    });
  }

  editLast() {
    [...this.#messages.values()].reverse().find((message) => message instanceof UserMessage)?.edit();
  }

  follow() {
    this.#following = true;
    this.scroller.scrollTop = this.scroller.scrollHeight;
    this.jump.hidden = true;
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    this.#following = scrollHeight - scrollTop - clientHeight < NEAR;
    this.jump.hidden = this.#following;
  }

  /** The thread has grown: stays at its end if it was there. */
  #settle() {
    if (this.#following) this.follow();
    else this.#scrolled();
  }
}
