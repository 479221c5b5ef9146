// The events of a session's streams, for clients that come back for them.

/** An event store: the SDK's interface, in memory. */
export function events() {
  const kept = [];
  return {
    async storeEvent(stream, message) {
      kept.push({ stream, message });
      return `${stream}:${kept.length - 1}`;
    },
    async replayEventsAfter(last, { send }) {
      const at = last.lastIndexOf(":");
      const stream = last.slice(0, at);
      for (const [n, event] of kept.entries()) {
        const primes = Object.keys(event.message).length === 0;
        if (n > Number(last.slice(at + 1)) && event.stream === stream && !primes) {
          await send(`${stream}:${n}`, event.message);
        }
      }
      return stream;
    },
  };
}
