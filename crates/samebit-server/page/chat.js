// Answers on their way: asking, stopping, resuming, replaying. Knows conversations as data, the stream and the
// server's interface; nothing of the DOM or storage: it tells `changed` what happened.
//
// An answer's `result` is {state, …}: 'streaming', 'done', 'stopped' (by the person), 'broken' (the connection) or
// 'failed' (the server said no); `first`, `last` and `begun` are where its stream stands (stream.js); the rest is
// what the server and the clock said.

import * as api from './api.js';
import { judge } from './compare.js';
import { digestOf, requestBody } from './conversation.js';
import { complete, StreamError } from './stream.js';

export class Chat {
  #jobs = new Map(); // conversation id → {controller, node, replay}
  #changed;

  /** `changed(conversation, node, what)`: 'begun', 'text', 'notice', 'ended' of an answer, or 'replay'. */
  constructor(changed) {
    this.#changed = changed;
  }

  /** What is under way in a conversation: `{node, replay, notice, progress}`, or null. */
  job(conversation) {
    return this.#jobs.get(conversation.id) ?? null;
  }

  stop(conversation) {
    this.job(conversation)?.controller.abort(new DOMException('Stopped', 'AbortError'));
  }

  /** Asks for the answer `node`, from the beginning or from where its stream stopped. */
  async answer(conversation, node) {
    if (this.job(conversation)) return;
    const job = this.#begin(conversation, node, false);
    const earlier = node.result ?? {};
    node.result = { first: null, last: null, begun: false, resumed: 0, ...earlier, state: 'streaming', error: null };
    const clock = new Clock(node.result.begun);
    this.#changed(conversation, node, 'begun');
    try {
      const outcome = await this.#stream(conversation, node, node, job, clock);
      Object.assign(node.result, outcome, { state: 'done' }, clock.read(outcome));
    } catch (error) {
      Object.assign(node.result, this.#failure(error, job), clock.read({}));
    }
    conversation.updated = Date.now();
    this.#jobs.delete(conversation.id);
    this.#changed(conversation, node, 'ended');
  }

  /** Asks for the same answer again and notes on `node.replay` whether the same came back. */
  async replay(conversation, node) {
    if (this.job(conversation)) return;
    const job = this.#begin(conversation, node, true);
    const partial = node.result.state !== 'done';
    const first = { text: whole(node), digest: digestOf(node.result) };
    const second = { text: '', reasoning: '', result: { first: null, last: null, begun: false, resumed: 0 } };
    node.replay = null;
    job.progress = { done: 0, total: first.text.length };
    this.#changed(conversation, node, 'replay');
    const enough = () => {
      job.progress.done = Math.min(whole(second).length, first.text.length);
      if (partial && whole(second).length >= first.text.length) job.controller.abort(ENOUGH);
    };
    const clock = new Clock(false);
    let outcome = {};
    try {
      outcome = await this.#stream(conversation, node, second, job, clock, enough);
    } catch (error) {
      if (job.controller.signal.reason !== ENOUGH) outcome = { problem: this.#failure(error, job) };
    }
    this.#jobs.delete(conversation.id);
    node.replay = outcome.problem
      ? { verdict: outcome.problem.state, error: outcome.problem.error, at: Date.now() }
      : { ...judge(first, { text: whole(second), digest: digestOf(outcome) }, partial), ...clock.read(outcome), at: Date.now() };
    this.#changed(conversation, node, 'replay');
  }

  #begin(conversation, node, replay) {
    const job = { controller: new AbortController(), node, replay, notice: null, progress: null };
    this.#jobs.set(conversation.id, job);
    return job;
  }

  /** Streams the request of `node` into `into`. */
  #stream(conversation, node, into, job, clock, after = () => {}) {
    const { signal } = job.controller;
    const note = (text) => {
      job.notice = text;
      this.#changed(conversation, node, job.replay ? 'replay' : 'notice');
    };
    const on = {
      delta: ({ text, reasoning }) => {
        clock.tick();
        into.text += text;
        if (reasoning !== '') into.reasoning = (into.reasoning ?? '') + reasoning;
        after();
        this.#changed(conversation, node, job.replay ? 'replay' : 'text');
      },
      restart: () => {
        Object.assign(into, { text: '', reasoning: '' });
        Object.assign(into.result, { first: null, last: null });
      },
      waiting: ({ attempt, ms, reason, last }) => note(waitingText(attempt, ms, reason, last)),
      resumed: ({ last }) => {
        clock.spoil();
        into.result.resumed += 1;
        into.result.resumedFrom = last;
        note(null);
      },
    };
    const post = (body, headers) => api.complete(body, headers, signal).then((response) => (job.notice && note(null), response));
    return complete({ body: requestBody(conversation, node), post, state: into.result, on, signal });
  }

  #failure(error, job) {
    if (job.controller.signal.aborted) return { state: 'stopped' };
    const refused = error.fatal || error instanceof StreamError;
    const message = error instanceof TypeError ? 'The server cannot be reached.' : error.message;
    return { state: refused ? 'failed' : 'broken', error: message };
  }
}

const ENOUGH = new DOMException('As much as there is to compare', 'AbortError');

const whole = ({ text, reasoning }) => (reasoning ?? '') + text;

function waitingText(attempt, ms, reason, last) {
  const seconds = ms < 1000 ? 'at once' : `in ${Math.round(ms / 1000)} s`;
  if (reason.status) return `${reason.message}. Asking again ${seconds}.`;
  if (last === null) return `Connection lost. Asking again ${seconds} (${attempt}).`;
  return `Connection lost. Resuming after event ${last} ${seconds} (${attempt}).`;
}

/** Times of one answer on this side of the wire. */
class Clock {
  #start = performance.now();
  #first = null;
  #last = null;
  #whole;

  /** `late`: the answer began on an earlier connection, so its times cannot be told. */
  constructor(late) {
    this.#whole = !late;
  }

  tick() {
    this.#last = performance.now();
    this.#first ??= this.#last;
  }

  spoil() {
    this.#whole = false;
  }

  /** `firstTokenMs` and `tokensPerSecond`, where they can be told; the server's own speed where it gives one. */
  read({ timings, usage }) {
    const times = {};
    if (this.#whole && this.#first !== null) times.firstTokenMs = this.#first - this.#start;
    const seconds = (this.#last - this.#first) / 1000;
    const tokens = usage?.completion_tokens;
    if (timings?.predicted_per_second > 0) times.tokensPerSecond = timings.predicted_per_second;
    else if (this.#whole && tokens > 1 && seconds > 0) times.tokensPerSecond = (tokens - 1) / seconds;
    return times;
  }
}
