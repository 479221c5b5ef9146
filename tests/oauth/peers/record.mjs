// What happened, in order, and every secret that was given out or shown on the
// way: for whoever asks, at once or when there is more.

const events = [];
const waiting = new Set();

/** Notes an event: `kind` and what belongs to it. */
export function note(kind, more = {}) {
  events.push({ kind, ...more });
  for (const wake of waiting) wake();
  waiting.clear();
}

const known = new Set();

/** Notes a secret, once; what is none is passed over. */
export function secret(what, value) {
  if (typeof value !== "string" || value === "" || known.has(value)) return;
  known.add(value);
  note("secret", { what, value });
}

/** All events from number `from` on, as soon as there is one. */
export async function since(from) {
  while (events.length <= from) await new Promise((wake) => waiting.add(wake));
  return events.slice(from);
}

/** All events so far. */
export const all = () => events;
