// What is known of an answer, and what a replay of it showed: the lines under its text.
// Knows an answer as data, and the DOM.

import { announce } from './announce.js';
import { showCharacter } from './compare.js';
import { digestOf } from './conversation.js';
import { copyFrom, h, icon } from './dom.js';

const DIGEST_SHOWN = 12;

/** Seed, speed, time to first token, tokens, digest: each where it is known. */
export function facts({ request, result }) {
  if (!request) return null;
  const { tokensPerSecond, firstTokenMs, usage } = result;
  const items = [
    fact('seed', String(request.seed)),
    tokensPerSecond && fact('', `${speed(tokensPerSecond)} tokens/s`),
    firstTokenMs !== undefined && fact('first token', duration(firstTokenMs)),
    usage?.completion_tokens !== undefined && fact('', `${usage.completion_tokens.toLocaleString('en')} tokens`),
    digest(digestOf(result)),
  ];
  return h('ul', { class: 'facts', 'aria-label': 'About this answer' }, items);
}

function fact(name, value) {
  return h('li', {}, name && h('span', { class: 'name' }, `${name} `), value);
}

function digest(hex) {
  if (hex === null) return null;
  const button = h(
    'button',
    { type: 'button', class: 'digest', title: `Copy the logits digest\n${hex}`, 'aria-label': `Copy the logits digest, ${hex.slice(0, DIGEST_SHOWN)}…`, onclick: () => copyFrom(button, hex, announce) },
    h('code', {}, hex.slice(0, DIGEST_SHOWN)),
    icon('copy'),
  );
  return h('li', {}, h('span', { class: 'name' }, 'digest '), button);
}

const speed = (rate) => (rate < 10 ? rate.toFixed(1) : Math.round(rate).toLocaleString('en'));
const duration = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`);

/** While a replay runs. */
export function replayProgress({ progress, notice }) {
  const share = progress.total === 0 ? 0 : progress.done / progress.total;
  return h(
    'div',
    { class: 'replay running' },
    h('progress', { max: '1', value: String(share), 'aria-label': 'Replay' }),
    h('span', {}, notice ?? 'Running the same request again…'),
  );
}

/** What a replay showed: a quiet tick, or where the two answers part. */
export function replayReport(replay) {
  if (!replay) return null;
  if (replay.verdict === 'differs') return differs(replay);
  const said = sayReplay(replay);
  const good = replay.verdict === 'same' || replay.verdict === 'prefix';
  return h('div', { class: `replay ${good ? 'same' : 'unsure'}`, dataset: { verdict: replay.verdict } }, icon(good ? 'check' : 'replay'), h('span', {}, said));
}

/** The report in one sentence, for the eye and the ear. */
export function sayReplay({ verdict, difference, error, at }) {
  const when = new Date(at).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
  switch (verdict) {
    case 'same': return `Replayed at ${when}: the same, text and digest.`;
    case 'prefix': return `Replayed at ${when}: the same as far as this answer goes. It has no digest, as it was not finished.`;
    case 'text': return `Replayed at ${when}: the same text. There is no digest to compare on this server.`;
    case 'stopped': return 'The replay was stopped.';
    case 'differs': return difference ? `Not the same: character ${(difference.index + 1).toLocaleString('en')} differs.` : 'Not the same: the texts are equal, the digests differ.';
    default: return `The replay did not finish: ${error}`;
  }
}

function differs(replay) {
  const { difference, digests } = replay;
  return h(
    'div',
    { class: 'replay differs', dataset: { verdict: 'differs' } },
    h('p', {}, icon('cross'), h('strong', {}, sayReplay(replay))),
    difference && h('dl', {}, side('this answer', difference, difference.ours), side('the replay', difference, difference.theirs)),
    digests.ours !== digests.theirs && h('dl', {}, digestSide('this answer', digests.ours), digestSide('the replay', digests.theirs)),
  );
}

function side(name, { before }, { at, after }) {
  const { sign, name: number } = showCharacter(at);
  const text = h('dd', { dir: 'auto' }, `…${visible(before)}`, h('mark', { title: number }, sign), visible(after), h('span', { class: 'name' }, ` ${number}`));
  return [h('dt', {}, name), text];
}

const visible = (text) => text.replace(/\n/g, '⏎');

function digestSide(name, hex) {
  return [h('dt', {}, `digest, ${name}`), h('dd', {}, h('code', {}, hex ?? 'none'))];
}
