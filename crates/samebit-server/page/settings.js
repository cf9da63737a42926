// The parameters of a request: which there are, what is allowed, where the defaults for new conversations are kept.
// Knows localStorage; nothing of the DOM or the server. `null` leaves a parameter to the server.

const KEY = 'samebit.settings';

/** Parameters in the order in which they are shown. `server`: what `/props` calls the default. */
export const FIELDS = [
  { name: 'seed', label: 'Seed', hint: 'The same seed gives the same answer.', min: 0, max: Number.MAX_SAFE_INTEGER, whole: true, fallback: 0 },
  { name: 'temperature', label: 'Temperature', hint: '0 always takes the likeliest token.', min: 0, max: 10, server: 'temperature' },
  { name: 'top_p', label: 'Top-p', hint: 'Only the likeliest tokens whose probabilities reach this sum.', min: 0, max: 1, server: 'top_p' },
  { name: 'top_k', label: 'Top-k', hint: 'Only so many of the likeliest tokens; 0 is all.', min: 0, max: 1_000_000, whole: true, server: 'top_k' },
  { name: 'min_p', label: 'Min-p', hint: 'Only tokens so likely, compared with the likeliest.', min: 0, max: 1, server: 'min_p' },
  { name: 'max_tokens', label: 'Max tokens', hint: 'The longest answer.', min: 1, max: 1_000_000, whole: true },
];

export const PLAIN = Object.freeze({ system: '', model: null, ...Object.fromEntries(FIELDS.map(({ name, fallback }) => [name, fallback ?? null])) });

/** What a field's text means: `{value}` or `{problem}`. */
export function parseField(field, text) {
  const trimmed = text.trim();
  if (trimmed === '') return { value: field.fallback ?? null };
  const value = Number(trimmed);
  if (!Number.isFinite(value)) return { problem: 'Not a number' };
  if (field.whole && !Number.isInteger(value)) return { problem: 'Must be a whole number' };
  if (value < field.min || value > field.max) return { problem: `Must be between ${field.min} and ${field.max}` };
  return { value };
}

/** Settings in which every field is of the right kind, whatever was stored or imported. */
export function sane(settings) {
  const result = { ...PLAIN };
  if (typeof settings?.system === 'string') result.system = settings.system;
  if (typeof settings?.model === 'string') result.model = settings.model;
  for (const field of FIELDS) {
    const value = settings?.[field.name];
    if (typeof value === 'number') result[field.name] = parseField(field, String(value)).value ?? result[field.name];
  }
  return result;
}

export function defaults() {
  try {
    return sane(JSON.parse(localStorage.getItem(KEY) ?? '{}'));
  } catch {
    return { ...PLAIN };
  }
}

export function saveDefaults(settings) {
  try {
    localStorage.setItem(KEY, JSON.stringify(settings));
    return true;
  } catch {
    return false;
  }
}
