// Puts the page together: what each button and key does. Every other module knows only its own part.

import { announce } from './announce.js';
import * as api from './api.js';
import { Chat } from './chat.js';
import { Composer } from './composer.js';
import { addMessage, freshRequest, isLast, path, requestBody, requestOf, show, siblings } from './conversation.js';
import { askForKey, showSettings, showShortcuts, toast } from './dialogs.js';
import { icon } from './dom.js';
import { listen } from './keys.js';
import { Library } from './library.js';
import { saveDefaults } from './settings.js';
import { Sidebar } from './sidebar.js';
import * as store from './store.js';
import { download, importInto } from './transfer.js';
import { Thread } from './view.js';

const $ = (id) => document.getElementById(id);
const narrow = matchMedia('(max-width: 800px)');
const server = { models: [], context: null, defaults: {} };

const library = new Library({ failed: (error) => toast(`This browser could not save the conversation (${error.name}).`) });
const chat = new Chat(changed);
const current = () => library.current;

const actions = {
  send(text) {
    const question = addMessage(current(), current().leaf, 'user', { text });
    void ask(question.id);
  },
  edit(node, text) {
    const question = addMessage(current(), node.parent, 'user', { text });
    void ask(question.id);
    composer.focus();
  },
  regenerate(node) {
    if (!idle()) return;
    void ask(node.parent);
    composer.focus();
  },
  replay: (node) => idle() && void chat.replay(current(), node),
  resume(node) {
    if (!idle()) return;
    void chat.answer(current(), node);
    composer.focus();
  },
  stop: () => chat.stop(current()),
  example: (text) => actions.send(text),
  editLast: () => thread.editLast(),
  idle,
  isLast: (node) => isLast(current(), node),
  job: () => chat.job(current()),
  requestJson: (node) => JSON.stringify(requestBody(current(), node), null, 2),
  versions: (node) => ({ all: siblings(current(), node), show: (other, action) => showVersion(node, other, action) }),

  open(id) {
    location.hash = id;
    closeDrawer();
  },
  newConversation() {
    openConversation(library.fresh());
    closeDrawer();
    composer.focus();
  },
  rename(conversation, title) {
    conversation.title = title;
    library.save(conversation);
    refresh();
  },
  exportOne: (conversation) => download([conversation]),
  remove,

  escape() {
    if (document.querySelector(':popover-open')) return;
    if (document.body.classList.contains('drawer')) closeDrawer();
    else if (chat.job(current())) chat.stop(current());
  },
  focusComposer: () => composer.focus(),
  showShortcuts,
  regenerateLast: () => withLastAnswer((node) => actions.regenerate(node)),
  replayLast: () => withLastAnswer((node) => actions.replay(node)),
  copyLast: () => withLastAnswer((node) => $('thread').querySelector(`[data-id="${node.id}"] [aria-label="Copy answer"]`)?.click()),
  previousConversation: () => step(-1),
  nextConversation: () => step(1),
  toggleSidebar() {
    const drawer = narrow.matches;
    const shown = document.body.classList.toggle(drawer ? 'drawer' : 'wide') === drawer;
    sidebarShown(drawer, shown);
  },
  showSettings() {
    const conversation = current();
    showSettings({ ...conversation.settings, model: model(conversation) }, server, {
      changed(settings) {
        conversation.settings = settings;
        library.save(conversation);
        showParameters();
      },
      keep: (settings) => toast(saveDefaults(settings) ? 'New conversations begin with these parameters.' : 'This browser could not save them.'),
      exportAll: () => download(library.list()),
      importFile,
    });
  },
};

const thread = new Thread({ scroller: $('scroller'), list: $('thread'), welcome: $('welcome'), jump: $('jump'), actions });
const sidebar = new Sidebar($('conversations'), actions);
const composer = new Composer({ form: $('composer'), field: $('message'), button: $('send'), count: $('count'), actions });

const busy = () => chat.job(current()) !== null;

/** Whether the open conversation has nothing under way; says so if it has. */
function idle() {
  if (busy()) toast('An answer is on its way in this conversation. Esc stops it.');
  return !busy();
}

const model = (conversation) => (server.models.includes(conversation.settings.model) ? conversation.settings.model : (server.models[0] ?? 'default'));

async function ask(parent) {
  const conversation = current();
  thread.show(conversation);
  if (server.models.length === 0) await meetServer();
  const request = freshRequest(conversation, parent, requestOf(conversation.settings, model(conversation)));
  const node = addMessage(conversation, parent, 'assistant', { request });
  if (conversation === current()) thread.show(conversation);
  await chat.answer(conversation, node);
}

/** What the chat tells: saved, and shown if the conversation is open. */
function changed(conversation, node, what) {
  if (what === 'text') library.saveSoon(conversation);
  else library.save(conversation);
  if (conversation === current()) {
    thread.changed(node, what);
    composer.setBusy(busy());
    if (what === 'ended') showContext();
  }
  if (what === 'begun' || what === 'ended') refresh();
  if (what === 'begun' && conversation === current()) announce('Answering.');
}

function withLastAnswer(then) {
  const last = path(current()).at(-1);
  if (last?.role === 'assistant' && last.request && last.result) then(last);
}

function showVersion(node, other, action) {
  if (!other || !idle()) return;
  show(current(), other.id);
  library.save(current());
  thread.show(current(), { focus: { id: other.id, action }, keepPlace: true });
}

function step(by) {
  const all = library.list();
  const next = all[all.findIndex(({ id }) => id === current().id) + by];
  if (next) actions.open(next.id);
}

async function remove(conversation) {
  chat.stop(conversation);
  await library.remove(conversation);
  if (conversation === current()) openConversation(library.fresh());
  refresh();
  toast(`Deleted “${conversation.title}”.`, async () => {
    await library.add(conversation);
    openConversation(conversation);
  });
}

function openConversation(conversation) {
  library.current = conversation;
  const hash = conversation.leaf === null ? '' : `#${conversation.id}`;
  if (location.hash !== hash) history.pushState(null, '', hash || location.pathname);
  thread.show(conversation);
  composer.open(conversation.id);
  composer.setBusy(busy());
  showParameters();
  showContext();
  refresh();
}

function openFromHash() {
  openConversation(library.get(location.hash.slice(1)) ?? library.fresh());
}

/** The list and the titles. */
function refresh() {
  sidebar.show(library.list(), { current: current().id, isBusy: (conversation) => chat.job(conversation) !== null });
  const title = current().title || 'New conversation';
  $('title').textContent = title;
  document.title = `${title} · samebit`;
  if (current().leaf !== null && location.hash !== `#${current().id}`) history.replaceState(null, '', `#${current().id}`);
}

function showParameters() {
  const { settings } = current();
  const parts = [`seed ${settings.seed}`];
  if (settings.temperature !== null) parts.push(`temperature ${settings.temperature}`);
  if (settings.system !== '') parts.push('system prompt');
  $('parameters').querySelector('span').textContent = parts.join(' · ');
  $('model').textContent = server.models.length === 0 ? '' : model(current()).split('/').at(-1).replace(/\.gguf$/i, '');
}

function showContext() {
  const used = path(current()).findLast(({ result }) => result?.usage)?.result.usage.total_tokens;
  const whole = server.context === null ? '' : ` of ${server.context.toLocaleString('en')}`;
  $('context').textContent = used === undefined ? '' : `${used.toLocaleString('en')}${whole} tokens used`;
}

async function importFile(file) {
  toast(await importInto(library, file));
  refresh();
}

function sidebarShown(drawer, shown) {
  $('toggle-sidebar').setAttribute('aria-expanded', String(shown));
  $('main').inert = drawer && shown;
  if (drawer && shown) $('new').focus();
}

function closeDrawer() {
  if (!document.body.classList.contains('drawer')) return;
  document.body.classList.remove('drawer');
  sidebarShown(true, false);
  $('toggle-sidebar').focus();
}

function wireButtons() {
  const wire = (id, name, action) => {
    $(id).prepend(icon(name));
    $(id).addEventListener('click', action);
  };
  wire('new', 'plus', actions.newConversation);
  wire('toggle-sidebar', 'menu', actions.toggleSidebar);
  wire('parameters', 'sliders', actions.showSettings);
  wire('shortcuts', 'keyboard', showShortcuts);
  $('jump').prepend(icon('down'));
  $('backdrop').addEventListener('click', closeDrawer);
  $('theme').addEventListener('click', () => document.dispatchEvent(new Event('samebit:toggle-theme')));
  document.addEventListener('samebit:theme', showTheme);
  narrow.addEventListener('change', () => (closeDrawer(), sidebarShown(false, !narrow.matches)));
  showTheme();
  sidebarShown(false, !narrow.matches);
}

function showTheme() {
  const dark = document.documentElement.dataset.theme === 'dark';
  const label = dark ? 'Light colours' : 'Dark colours';
  $('theme').replaceChildren(icon(dark ? 'sun' : 'moon'));
  $('theme').title = label;
  $('theme').setAttribute('aria-label', label);
}

async function meetServer() {
  const [models, props] = await Promise.allSettled([api.models(), api.props()]);
  server.models = models.value ?? [];
  Object.assign(server, props.value);
  $('status').textContent = models.status === 'rejected' ? 'The server cannot be reached; it will be asked again when you send something.' : '';
  showParameters();
  showContext();
}

async function start() {
  // Until the conversations are there, `main` is inert and no button does anything.
  const kept = await library.load();
  openFromHash();
  wireButtons();
  listen(actions);
  api.onKeyNeeded(askForKeyOnce());
  window.addEventListener('hashchange', openFromHash);
  window.addEventListener('popstate', openFromHash);
  window.addEventListener('pagehide', () => library.flush());
  store.onOtherTab(fromOtherTab);
  if (!kept) toast('This browser keeps nothing for this page: conversations end with it.');
  if (!narrow.matches) composer.focus();
  await meetServer();
}

/** Requests that are refused together ask for the key together. */
function askForKeyOnce() {
  let asking = null;
  return (why) => (asking ??= askForKey(why).finally(() => (asking = null)));
}

async function fromOtherTab(id) {
  const here = library.get(id);
  if (here && chat.job(here)) return;
  const conversation = await library.reload(id);
  if (id !== current().id) refresh();
  else openConversation(conversation ?? library.fresh());
}

await start();
