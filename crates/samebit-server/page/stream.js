// One completion over server-sent events: reading them, and going on where a stream broke.
// Knows `fetch` (through the `post` that it is given) and the shape of a chunk; nothing of conversations or the DOM.

/** Splits a byte stream that has been decoded to text into events, however it was cut (WHATWG HTML, 9.2.6). */
export class SseParser {
  #rest = '';
  #afterCr = false;
  #data = [];
  #event = '';
  #id = null;

  /** The events that `text` completes: `{id, event, data}`; `id` is null where the event has none. */
  push(text) {
    const events = [];
    // A CR ends its line at once; the LF that may follow in the next piece belongs to it.
    if (this.#afterCr && text.startsWith('\n')) text = text.slice(1);
    if (text !== '') this.#afterCr = text.endsWith('\r');
    const lines = (this.#rest + text).split(/\r\n|\r|\n/);
    this.#rest = lines.pop();
    for (const line of lines) this.#line(line.replace(/^\uFEFF/, ''), events);
    return events;
  }

  #line(line, events) {
    if (line === '') {
      if (this.#data.length > 0) events.push({ id: this.#id, event: this.#event || 'message', data: this.#data.join('\n') });
      this.#data = [];
      this.#event = '';
      this.#id = null;
      return;
    }
    const colon = line.indexOf(':');
    if (colon === 0) return;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'data') this.#data.push(value);
    else if (field === 'event') this.#event = value;
    else if (field === 'id' && !value.includes('\0')) this.#id = value;
  }
}

/** The events of a response's body. Ends when the body ends; throws when the connection breaks. */
export async function* events(body) {
  const parser = new SseParser();
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield* parser.push(value);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** A refusal that the server wrote into the stream: not worth another try. */
export class StreamError extends Error {}

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 8000;
const TRIES = 8;

/**
 * Runs `body` to its end, over as many connections as that takes.
 *
 * `post(body, headers)` sends it and gives a response or throws (an error with `retryAfter` in seconds, or
 * `fatal`). `state` is where an earlier stream stopped: `{first, last}`, ids of its first and latest event; it is
 * kept up to date. `on.delta({text, reasoning})`, `on.restart()` (forget what came so far),
 * `on.waiting({attempt, ms, reason, last})`, `on.resumed({last})`.
 * Gives `{finish, usage, timings, samebit, fingerprint, model}`.
 */
export async function complete({ body, post, state, on, signal }) {
  const result = { finish: null, usage: null, timings: null, samebit: null, fingerprint: null, model: null };
  let again = state.begun;
  for (let failures = 0; ; ) {
    const resuming = again && state.last !== null;
    if (again && !resuming) on.restart();
    try {
      const response = await post(body, resuming ? { 'Last-Event-ID': state.last } : {});
      if (again) on.resumed({ last: state.last });
      const progress = () => (failures = 0);
      if (await drain(response.body, { state, on, result, resuming, progress })) return result;
      throw new Error('The stream ended early');
    } catch (error) {
      if (signal.aborted || error instanceof StreamError || error.fatal) throw error;
      failures += 1;
      if (failures > TRIES) throw error;
      again = state.begun;
      const ms = error.retryAfter ? error.retryAfter * 1000 : Math.min(FIRST_WAIT_MS * 2 ** (failures - 1), LONGEST_WAIT_MS);
      on.waiting({ attempt: failures, ms, reason: error, last: state.last });
      await pause(ms, signal);
    }
  }
}

/** Reads one connection; true if the answer is whole. */
async function drain(body, { state, on, result, resuming, progress }) {
  let fresh = resuming;
  for await (const { id, event, data } of events(body)) {
    if (data === '[DONE]') return true;
    // A server that does not know how to resume begins at the beginning: its first id tells.
    if (fresh && id !== null) {
      if (id === state.first) on.restart();
      fresh = false;
    }
    const chunk = parse(data);
    if (event === 'error' || chunk.error) throw new StreamError(chunk.error?.message ?? String(data));
    progress();
    state.begun = true;
    read(chunk, on, result);
    if (id !== null) {
      state.first ??= id;
      state.last = id;
    }
  }
  return result.finish !== null;
}

function parse(data) {
  try {
    return JSON.parse(data) ?? {};
  } catch {
    throw new StreamError(`The server sent what is not JSON: ${data.slice(0, 80)}`);
  }
}

function read(chunk, on, result) {
  const choice = chunk.choices?.[0];
  const text = choice?.delta?.content ?? '';
  const reasoning = choice?.delta?.reasoning_content ?? '';
  if (text !== '' || reasoning !== '') on.delta({ text, reasoning });
  if (choice?.finish_reason) result.finish = choice.finish_reason;
  for (const key of ['usage', 'timings', 'samebit', 'model']) {
    if (chunk[key]) result[key] = chunk[key];
  }
  if (chunk.system_fingerprint) result.fingerprint = chunk.system_fingerprint;
}

function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const abort = () => (clearTimeout(timer), reject(signal.reason));
    const timer = setTimeout(() => (signal.removeEventListener('abort', abort), resolve()), ms);
    signal.addEventListener('abort', abort, { once: true });
  });
}
