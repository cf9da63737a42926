// A conversation as data: a tree of messages, so that editing and asking again lose nothing. Pure: no DOM, no
// storage, no network.
//
// A message is {id, parent, role, text, created}; an answer also has `reasoning`, `request` (every parameter that
// it was asked with, for ever) and `result`. Parents never change, nor does a text that something follows: so a
// request can be built again from the tree at any time, which is what a replay runs.

import { splitThinking } from './thinking.js';

const TITLE_LENGTH = 60;

export function newConversation(settings, now = Date.now()) {
  return { id: crypto.randomUUID(), title: '', created: now, updated: now, settings: { ...settings }, nodes: {}, leaf: null };
}

export function addMessage(conversation, parent, role, fields = {}, now = Date.now()) {
  const node = { id: crypto.randomUUID(), parent, role, text: '', created: now, ...fields };
  conversation.nodes[node.id] = node;
  conversation.leaf = node.id;
  conversation.updated = now;
  if (conversation.title === '' && role === 'user') conversation.title = titleOf(node.text);
  return node;
}

function titleOf(text) {
  const line = text.trim().split('\n', 1)[0];
  const characters = [...line];
  return characters.length > TITLE_LENGTH ? `${characters.slice(0, TITLE_LENGTH - 1).join('')}…` : line;
}

/** The messages from the first to the leaf (or to `id`). */
export function path(conversation, id = conversation.leaf) {
  const nodes = [];
  for (let node = conversation.nodes[id]; node; node = conversation.nodes[node.parent]) nodes.push(node);
  return nodes.reverse();
}

/** Whether nothing follows a message. */
export function isLast(conversation, node) {
  return !Object.values(conversation.nodes).some(({ parent }) => parent === node.id);
}

/** A message's versions, oldest first, itself among them. */
export function siblings(conversation, node) {
  return Object.values(conversation.nodes)
    .filter(({ parent }) => parent === node.parent)
    .sort((a, b) => a.created - b.created);
}

/** Shows another version of a message, with the newest of what followed it. */
export function show(conversation, id) {
  for (;;) {
    const children = Object.values(conversation.nodes).filter(({ parent }) => parent === id);
    if (children.length === 0) break;
    id = children.reduce((newest, child) => (child.created >= newest.created ? child : newest)).id;
  }
  conversation.leaf = id;
}

/** What an answer is asked with: the settings, without those that are left to the server. */
export function requestOf(settings, model) {
  const request = { model, system: settings.system, seed: settings.seed };
  for (const name of ['temperature', 'top_p', 'top_k', 'min_p', 'max_tokens']) {
    if (settings[name] !== null && settings[name] !== undefined) request[name] = settings[name];
  }
  return request;
}

/**
 * The request for another answer to the same message: the same bits come back for the same seed, so the first seed
 * from the settings' on that has not been asked with these parameters.
 */
export function freshRequest(conversation, parent, request) {
  const asked = new Set(
    Object.values(conversation.nodes)
      .filter((node) => node.parent === parent && node.request)
      .map((node) => JSON.stringify(node.request)),
  );
  let fresh = request;
  while (asked.has(JSON.stringify(fresh))) fresh = { ...fresh, seed: fresh.seed + 1 };
  return fresh;
}

/** The body that asks for the answer `node`: the same now and at every replay. */
export function requestBody(conversation, node) {
  const { system, ...parameters } = node.request;
  const before = path(conversation, node.parent)
    .map(({ role, text }) => ({ role, content: role === 'assistant' ? splitThinking(text).answer : text }))
    // An answer that failed, or never got past its reasoning, said nothing.
    .filter(({ content }) => content !== '');
  const messages = system === '' ? before : [{ role: 'system', content: system }, ...before];
  return { ...parameters, messages, stream: true, stream_options: { include_usage: true }, samebit: true };
}

/** The digest of every logit that an answer's tokens were chosen from; null where the server gave none. */
export function digestOf(result) {
  return result?.samebit?.logits_digest ?? null;
}
