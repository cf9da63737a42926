// The conversations in memory, kept in step with the store: which is open, what is to be saved.
// Knows conversations as data and the store; nothing of the DOM or the server.

import { newConversation } from './conversation.js';
import { defaults, sane } from './settings.js';
import * as store from './store.js';

const SAVE_EVERY_MS = 800;

export class Library {
  #conversations = new Map();
  #timers = new Map();
  #lastError = null;

  /** `failed(error)` when the browser cannot save, once for each kind of failure. */
  constructor({ failed }) {
    this.failed = failed;
    this.current = null;
  }

  /** Reads the store; false if nothing can be kept. */
  async load() {
    const kept = await store.open();
    for (const conversation of await store.all()) this.#take(conversation);
    return kept;
  }

  #take(conversation) {
    conversation.settings = sane(conversation.settings);
    this.#conversations.set(conversation.id, conversation);
    return conversation;
  }

  /** The latest first; a conversation in which nothing was said is not among them. */
  list() {
    return [...this.#conversations.values()].filter(({ leaf }) => leaf !== null).sort((a, b) => b.updated - a.updated);
  }

  get(id) {
    return this.#conversations.get(id) ?? null;
  }

  /** An empty conversation; one that is already there, if there is one. */
  fresh() {
    const empty = [...this.#conversations.values()].find(({ leaf }) => leaf === null);
    return empty ?? this.#take(newConversation(defaults()));
  }

  add(conversation) {
    this.#take(conversation);
    return this.save(conversation);
  }

  remove(conversation) {
    clearTimeout(this.#timers.get(conversation.id));
    this.#timers.delete(conversation.id);
    this.#conversations.delete(conversation.id);
    return this.#attempt(() => store.remove(conversation.id));
  }

  save(conversation) {
    clearTimeout(this.#timers.get(conversation.id));
    this.#timers.delete(conversation.id);
    if (conversation.leaf === null || !this.#conversations.has(conversation.id)) return Promise.resolve();
    return this.#attempt(() => store.save(conversation));
  }

  /** For what changes with every token. */
  saveSoon(conversation) {
    const { id } = conversation;
    if (!this.#timers.has(id)) this.#timers.set(id, setTimeout(() => this.save(conversation), SAVE_EVERY_MS));
  }

  /** Saves at once what is waiting to be: the page is going away. */
  flush() {
    for (const id of [...this.#timers.keys()]) this.save(this.#conversations.get(id));
  }

  /** Another tab changed a conversation: takes it over. */
  async reload(id) {
    const conversation = await store.get(id);
    if (conversation) this.#take(conversation);
    else this.#conversations.delete(id);
    return conversation;
  }

  async #attempt(work) {
    try {
      await work();
      this.#lastError = null;
    } catch (error) {
      if (this.#lastError === error.name) return;
      this.#lastError = error.name;
      this.failed(error);
    }
  }
}
