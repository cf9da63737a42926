// The server's HTTP interface: one function for each request, one kind of error, and the key.
// Knows paths, headers and JSON; nothing of conversations or the DOM.

const KEY = 'samebit.key';
let key = remembered();
let askForKey = null;

function remembered() {
  try {
    return localStorage.getItem(KEY) ?? '';
  } catch {
    return '';
  }
}

/** `ask()` shows a field and gives the key that was entered, or null if the person would rather not. */
export function onKeyNeeded(ask) {
  askForKey = ask;
}

export function setKey(value, { remember }) {
  key = value;
  try {
    if (remember && value !== '') localStorage.setItem(KEY, value);
    else localStorage.removeItem(KEY);
  } catch {
    // Storage switched off: the key lives as long as the page.
  }
}

/** Statuses of a server that is busy, loading or being replaced. */
const PASSING = [408, 425, 429, 502, 503, 504];

/** The server said no. `fatal`: asking again would not help. */
export class ApiError extends Error {
  constructor(status, message, retryAfter = null) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
    this.fatal = !PASSING.includes(status);
  }
}

async function refusal(response) {
  let message = `The server answered ${response.status}`;
  try {
    const { error } = await response.json();
    const said = typeof error === 'string' ? error : error?.message;
    if (said) message = said;
  } catch {
    // Not JSON: the status has to do.
  }
  const seconds = Number(response.headers.get('Retry-After'));
  return new ApiError(response.status, message, seconds > 0 ? Math.min(seconds, 60) : null);
}

/** Sends a request; on 401 asks for a key and sends it again. Throws ApiError, or TypeError with no connection. */
async function send(path, options, quiet = false) {
  for (;;) {
    const headers = { ...options.headers, ...(key === '' ? {} : { Authorization: `Bearer ${key}` }) };
    const used = key;
    const response = await fetch(path, { ...options, headers });
    if (response.ok) return response;
    if (response.status !== 401 || quiet || askForKey === null) throw await refusal(response);
    // Somebody may have entered a key while this request was under way.
    if (used === key && (await askForKey({ wrong: key !== '' })) === null) throw await refusal(response);
    options.signal?.throwIfAborted();
  }
}

function post(path, body, { signal, headers = {}, quiet = false } = {}) {
  const options = { method: 'POST', signal, body: JSON.stringify(body), headers: { 'Content-Type': 'application/json', ...headers } };
  return send(path, options, quiet);
}

/** Ids of the models that the server has. */
export async function models() {
  const { data } = await (await send('/v1/models', {})).json();
  return data.map((model) => model.id);
}

/** What the server tells of itself: `{context, defaults}`; empty where it tells nothing. */
export async function props() {
  try {
    const answer = await (await send('/props', {}, true)).json();
    const settings = answer.default_generation_settings ?? {};
    return { context: settings.n_ctx ?? answer.n_ctx ?? null, defaults: settings.params ?? {} };
  } catch {
    return { context: null, defaults: {} };
  }
}

/** How many tokens a text is; null where the server does not say. */
export async function countTokens(content, signal) {
  try {
    const answer = await (await post('/tokenize', { content }, { signal, quiet: true })).json();
    return answer.tokens.length;
  } catch {
    return null;
  }
}

/** Begins, or with `Last-Event-ID` in `headers` goes on with, a streamed completion. */
export function complete(body, headers, signal) {
  return post('/v1/chat/completions', body, { signal, headers });
}
