// One message on the page: somebody's words, or an answer that may still be growing.
// Knows a message as data, Markdown's renderer and the DOM; what its buttons do is given to it.

import { announce } from './announce.js';
import { copyFrom, h, iconButton } from './dom.js';
import { facts, replayProgress, replayReport } from './facts.js';
import { renderMarkdown, spoken } from './render.js';
import { splitThinking } from './thinking.js';

/** The buttons that lead from one version of a message to another. */
function versions(node, { all, show }) {
  if (all.length < 2) return null;
  const at = all.findIndex(({ id }) => id === node.id);
  const step = (name, label, to) => {
    return iconButton(name, label, () => show(all[to], name === 'left' ? 'previous' : 'next'), {
      class: 'quiet', dataset: { action: name === 'left' ? 'previous' : 'next' }, 'aria-disabled': to < 0 || to >= all.length ? 'true' : null,
    });
  };
  return h(
    'span',
    { class: 'versions', role: 'group', 'aria-label': 'Versions' },
    step('left', 'Previous version', at - 1),
    h('span', {}, `${at + 1} / ${all.length}`),
    step('right', 'Next version', at + 1),
  );
}

export class UserMessage {
  constructor(node, actions) {
    this.node = node;
    this.actions = actions;
    this.body = h('div', { class: 'bubble', dir: 'auto' }, node.text);
    this.tools = h('div', { class: 'tools' });
    this.element = h('article', { class: 'message user', dataset: { id: node.id } }, h('h2', { class: 'visually-hidden' }, 'You'), this.body, this.tools);
    this.update();
  }

  update() {
    const copy = iconButton('copy', 'Copy message', () => copyFrom(copy, this.node.text, announce), { class: 'quiet' });
    const edit = iconButton('edit', 'Edit message', () => this.edit(), { class: 'quiet', dataset: { action: 'edit' } });
    this.tools.replaceChildren(...[versions(this.node, this.actions.versions(this.node)), copy, edit].filter(Boolean));
  }

  /** Puts a field in the message's place. */
  edit() {
    const field = h('textarea', { 'aria-label': 'Edit message', dir: 'auto', rows: '3' });
    const close = () => {
      form.replaceWith(this.body);
      this.tools.hidden = false;
    };
    const cancel = () => (close(), this.tools.querySelector('[data-action=edit]').focus());
    const save = () => {
      const text = field.value.trim();
      if (text === '' || text === this.node.text) {
        cancel();
        return;
      }
      if (!this.actions.idle()) return;
      close();
      this.actions.edit(this.node, text);
    };
    const form = h(
      'form',
      { class: 'edit', onsubmit: (event) => (event.preventDefault(), save()) },
      field,
      h('div', { class: 'row' }, h('button', { type: 'button', onclick: cancel }, 'Cancel'), h('button', { type: 'submit', class: 'primary' }, 'Ask this instead')),
    );
    field.addEventListener('keydown', (event) => {
      if (event.isComposing) return;
      if (event.key === 'Escape') {
        event.stopPropagation();
        cancel();
      } else if (event.key === 'Enter' && !event.shiftKey) {
        event.preventDefault();
        save();
      }
    });
    field.value = this.node.text;
    this.body.replaceWith(form);
    this.tools.hidden = true;
    field.focus();
  }
}

export class AnswerMessage {
  constructor(node, actions) {
    this.node = node;
    this.actions = actions;
    this.thoughts = h('div', { class: 'prose' });
    this.summary = h('summary', {}, 'Reasoning');
    this.thinking = h('details', { class: 'thinking', hidden: true }, this.summary, this.thoughts);
    this.prose = h('div', { class: 'prose' });
    this.notice = h('div', { class: 'notice', hidden: true });
    this.foot = h('div', { class: 'foot' });
    this.replay = h('div', {});
    this.heard = 0;
    this.element = h(
      'article',
      { class: 'message answer', dataset: { id: node.id } },
      h('h2', { class: 'visually-hidden' }, 'Answer'),
      this.thinking, this.prose, this.notice, this.foot, this.replay,
    );
    this.update();
  }

  update() {
    this.updateText();
    this.updateState();
    this.updateReplay();
  }

  updateText() {
    const { thoughts, answer, thinking } = splitThinking(this.node.text);
    const reasoning = [this.node.reasoning, thoughts].filter(Boolean).join('\n\n');
    this.thinking.hidden = reasoning === '' && !thinking;
    if (!this.thinking.hidden) {
      const busy = this.busy() && answer === '';
      this.summary.textContent = busy ? 'Reasoning…' : `Reasoning, ${reasoning.split(/\s+/).length.toLocaleString('en')} words`;
      // What is folded is not laid out; it is built when it is opened, too.
      renderMarkdown(this.thoughts, reasoning);
    }
    this.blocks = renderMarkdown(this.prose, answer);
    if (this.busy()) this.read(this.blocks.length - 1);
  }

  /** Reads out the blocks before `end` that have not been. */
  read(end) {
    for (; this.heard < end; this.heard += 1) announce(spoken(this.blocks[this.heard], this.prose.children[this.heard]));
  }

  /** The answer is whole: reads out the rest. */
  readRest() {
    this.read(this.blocks.length);
  }

  busy() {
    const job = this.actions.job();
    return job !== null && job.node === this.node && !job.replay;
  }

  updateState() {
    const busy = this.busy();
    this.element.setAttribute('aria-busy', String(busy));
    this.element.classList.toggle('streaming', busy);
    this.updateNotice(busy);
    this.foot.replaceChildren();
    if (busy || !this.node.result) return;
    const about = facts(this.node);
    this.foot.append(this.tools());
    if (about) this.foot.append(about);
  }

  updateNotice(busy) {
    const { state, error, finish, resumed, resumedFrom } = this.node.result ?? {};
    const line = (kind, text, ...buttons) => {
      this.notice.className = `notice ${kind}`;
      this.notice.replaceChildren(h('span', {}, text), ...buttons);
      this.notice.hidden = false;
    };
    const resume = () => {
      // What follows was asked with this text as it is: it may not grow any more.
      if (!this.actions.isLast(this.node)) return '';
      return h('button', { type: 'button', onclick: () => this.actions.resume(this.node) }, this.node.result.last ? 'Resume' : 'Ask again');
    };
    this.notice.hidden = true;
    if (busy) {
      const waiting = this.actions.job().notice;
      if (waiting) line('warning', waiting);
      else if (resumed > 0) line('', resumedText(resumed, resumedFrom));
    } else if (state === 'failed') line('error', error, resume());
    else if (state === 'broken') line('error', `The connection was lost. ${error ?? ''}`, resume());
    else if (state === 'streaming') line('warning', 'This answer was interrupted, or comes in another tab.', resume());
    else if (state === 'stopped') line('', 'Stopped.', resume());
    else if (finish === 'length') line('', 'Cut off at the largest number of tokens.');
    else if (resumed > 0) line('', resumedText(resumed, resumedFrom));
  }

  tools() {
    const { node, actions } = this;
    const copy = iconButton('copy', 'Copy answer', () => copyFrom(copy, splitThinking(node.text).answer, announce), { class: 'quiet' });
    const button = (name, label, action, text) => iconButton(name, label, () => actions[action](node), { class: 'quiet', text, dataset: { action } });
    const asked = node.request !== undefined;
    const request = iconButton('request', 'Copy the request as JSON', () => copyFrom(request, actions.requestJson(node), announce), { class: 'quiet' });
    return h(
      'div',
      { class: 'tools' },
      versions(node, actions.versions(node)),
      node.text !== '' && copy,
      asked && request,
      asked && button('again', 'Regenerate with the next seed', 'regenerate'),
      asked && node.text !== '' && button('replay', 'Replay: run the same request again and compare', 'replay', 'Replay'),
    );
  }

  updateReplay() {
    const job = this.actions.job();
    const running = job !== null && job.node === this.node && job.replay;
    const report = running ? replayProgress(job) : replayReport(this.node.replay);
    this.replay.replaceChildren(...[report].filter(Boolean));
  }
}

function resumedText(times, from) {
  const often = times === 1 ? '' : `, the last time`;
  const where = from ? ` after event ${from}` : ' from the beginning';
  return `The connection broke ${times === 1 ? 'once' : `${times} times`}; resumed${often}${where}.`;
}
