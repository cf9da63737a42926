// Conversations in this browser: IndexedDB, and a word to other tabs. Where the browser refuses storage (private
// windows) they live as long as the page. Knows what a conversation must look like to be read back; nothing of the
// DOM or the server.

const DATABASE = 'samebit';
const STORE = 'conversations';
const FORMAT = 'samebit-conversations';
const MAX_CONVERSATIONS = 10_000;
const MAX_NODES = 10_000;
const MAX_TEXT = 4_000_000;

let database = null;
const memory = new Map();
const tabs = 'BroadcastChannel' in window ? new BroadcastChannel('samebit') : null;

/** Opens the store; false if conversations will not outlive the page. */
export async function open() {
  try {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: 'id' });
    database = await settled(request);
    return true;
  } catch {
    return false;
  }
}

function settled(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function table(mode) {
  return database.transaction(STORE, mode).objectStore(STORE);
}

/** All conversations, the latest first. */
export async function all() {
  const conversations = database ? await settled(table('readonly').getAll()) : [...memory.values()];
  return conversations.sort((a, b) => b.updated - a.updated);
}

export async function get(id) {
  return (database ? await settled(table('readonly').get(id)) : memory.get(id)) ?? null;
}

export async function save(conversation) {
  if (database) await settled(table('readwrite').put(conversation));
  else memory.set(conversation.id, conversation);
  tabs?.postMessage({ changed: conversation.id });
}

export async function remove(id) {
  if (database) await settled(table('readwrite').delete(id));
  else memory.delete(id);
  tabs?.postMessage({ changed: id });
}

/** Calls back with the id of a conversation that another tab changed. */
export function onOtherTab(callback) {
  tabs?.addEventListener('message', ({ data }) => callback(data.changed));
}

export function exported(conversations) {
  return JSON.stringify({ format: FORMAT, version: 1, conversations }, null, 1);
}

/** The conversations of an exported file, with new ids so that nothing here is overwritten. Throws what is wrong. */
export function imported(text) {
  let file;
  try {
    file = JSON.parse(text);
  } catch {
    throw new Error('This is not a JSON file');
  }
  if (file?.format !== FORMAT || file.version !== 1 || !Array.isArray(file.conversations)) {
    throw new Error('This file does not come from "Export"');
  }
  if (file.conversations.length > MAX_CONVERSATIONS) throw new Error(`More than ${MAX_CONVERSATIONS} conversations`);
  return file.conversations.map(checked);
}

/** A conversation of which nothing is believed: only known fields of the right kind are taken over. */
function checked(from, index) {
  const fail = (what) => {
    throw new Error(`Conversation ${index + 1}: ${what}`);
  };
  if (typeof from !== 'object' || from === null || typeof from.nodes !== 'object' || from.nodes === null) fail('no messages');
  const entries = Object.values(from.nodes);
  if (entries.length > MAX_NODES) fail(`more than ${MAX_NODES} messages`);
  const nodes = {};
  for (const node of entries) {
    if (typeof node?.id !== 'string' || node.id === '__proto__') fail('a message without an id');
    if (node.role !== 'user' && node.role !== 'assistant') fail('a message that nobody wrote');
    if (typeof node.text !== 'string' || node.text.length > MAX_TEXT) fail('a message without a text, or with an enormous one');
    nodes[node.id] = message(node);
  }
  for (const node of Object.values(nodes)) if (!endsAtRoot(nodes, node)) fail('messages in a circle');
  const leaf = typeof from.leaf === 'string' && Object.hasOwn(nodes, from.leaf) ? from.leaf : null;
  return {
    id: crypto.randomUUID(),
    title: typeof from.title === 'string' ? from.title.slice(0, 200) : '',
    created: time(from.created),
    updated: time(from.updated),
    settings: object(from.settings),
    nodes,
    leaf: leaf ?? Object.keys(nodes).at(-1) ?? null,
  };
}

function message({ id, parent, role, text, created, reasoning, request, result, replay }) {
  const node = { id, parent: typeof parent === 'string' ? parent : null, role, text, created: time(created) };
  if (role === 'user') return node;
  if (typeof reasoning === 'string') node.reasoning = reasoning;
  if (typeof request?.seed === 'number') node.request = { system: '', ...object(request) };
  node.result = { state: 'done', ...object(result) };
  if (node.result.state === 'streaming') node.result.state = 'broken';
  if (typeof replay?.verdict === 'string') node.replay = object(replay);
  return node;
}

function endsAtRoot(nodes, node) {
  const seen = new Set();
  for (let at = node; at; at = nodes[at.parent]) {
    if (seen.has(at.id)) return false;
    // An ancestor that is known to end at the root would do, but files are small enough to walk.
    seen.add(at.id);
  }
  return true;
}

const time = (value) => (Number.isFinite(value) ? value : 0);
const object = (value) => (typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {});
