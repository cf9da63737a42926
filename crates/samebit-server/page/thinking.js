// Reasoning that a model writes between <think> and </think>, told from its answer. Pure.

const OPEN = '<think>';
const CLOSE = '</think>';

/**
 * `{thoughts, answer, thinking}`; `thinking` while the reasoning has not ended. Only a text that begins with the tag
 * reasons: a model that writes about the tag further on is left alone. Some templates write the opening tag into
 * the prompt, so a closing tag alone ends a reasoning too.
 */
export function splitThinking(text) {
  const start = text.trimStart();
  const opened = start.startsWith(OPEN);
  const close = text.indexOf(CLOSE);
  if (opened && close < 0) return { thoughts: start.slice(OPEN.length).trim(), answer: '', thinking: true };
  if (close >= 0 && (opened || !text.slice(0, close).includes(OPEN))) {
    const thoughts = opened ? text.slice(text.indexOf(OPEN) + OPEN.length, close) : text.slice(0, close);
    return { thoughts: thoughts.trim(), answer: text.slice(close + CLOSE.length).trimStart(), thinking: false };
  }
  // The tag itself may still be on its way.
  if (start !== '' && OPEN.startsWith(start)) return { thoughts: '', answer: '', thinking: true };
  return { thoughts: '', answer: text, thinking: false };
}
