// What happened, in order, and every secret that was given out or shown on the
// way, for whoever asks.

const events = [];

/** Notes an event: `kind` and what belongs to it. */
export function note(kind, more = {}) {
  events.push({ kind, ...more });
}

const known = new Set();

/** Notes a secret, once; what is none is passed over. */
export function secret(what, value) {
  if (typeof value !== "string" || value === "" || known.has(value)) return;
  known.add(value);
  note("secret", { what, value });
}

/** All events so far. */
export const all = () => events;
