// Whether two answers are the same, and where they part. Pure.

const CONTEXT = 24;

/**
 * Null if the texts are equal; else `{index, before, ours, theirs}`: the number of equal characters (code points)
 * in front, the last of them, and what follows on either side, the differing character first ('' at an end).
 */
export function firstDifference(ours, theirs) {
  if (ours === theirs) return null;
  const a = [...ours];
  const b = [...theirs];
  let index = 0;
  while (index < a.length && index < b.length && a[index] === b[index]) index += 1;
  const side = (characters) => ({ at: characters[index] ?? '', after: characters.slice(index + 1, index + 1 + CONTEXT).join('') });
  return { index, before: a.slice(Math.max(0, index - CONTEXT), index).join(''), ours: side(a), theirs: side(b) };
}

/**
 * What a replay showed. `first` and `second`: `{text, digest}`; `partial` if the first was stopped, so that only as
 * much as it has can be compared. `verdict`: 'same' (text and digest), 'text' (text alone: no digest to compare),
 * 'prefix' (as far as it goes) or 'differs'.
 */
export function judge(first, second, partial) {
  const theirs = partial ? second.text.slice(0, first.text.length) : second.text;
  const difference = firstDifference(first.text, theirs);
  const digests = { ours: first.digest ?? null, theirs: second.digest ?? null };
  if (difference) return { verdict: 'differs', difference, digests };
  if (partial) return { verdict: 'prefix', difference, digests };
  if (digests.ours === null || digests.theirs === null) return { verdict: 'text', difference, digests };
  return { verdict: digests.ours === digests.theirs ? 'same' : 'differs', difference, digests };
}

/** A character as it can be shown: what is invisible gets a sign, and every one its number. */
export function showCharacter(character) {
  if (character === '') return { sign: 'end', name: 'the end of the text' };
  const code = `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}`;
  if (character === '\n') return { sign: '⏎', name: code };
  if (character === ' ') return { sign: '␣', name: code };
  return { sign: /[\p{C}\p{Z}]/u.test(character) ? '□' : character, name: code };
}
