// What a screen reader hears. Answers grow token by token; a live region around them would stutter, so whole
// blocks are put here when they are finished. Knows one element of the page.

const KEEP = 20;
const region = document.getElementById('announcer');

/** Says `text` when the reader has finished what it is saying. */
export function announce(text) {
  const line = document.createElement('p');
  line.textContent = text;
  region.append(line);
  while (region.childElementCount > KEEP) region.firstElementChild.remove();
}
