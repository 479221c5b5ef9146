// One session of a TypeScript client, the same for each generation of the SDK:
// connect, list the tools, make the calls of the plan, and print what was seen.
//
// The plan is the one argument, JSON:
//   connect    { url } or { command, args, env }
//   negotiate  "legacy" or "auto", for a client that knows both eras
//   calls      [{ name, arguments?, progress?, cancelAfter? }], made in turn;
//              `progress` asks for progress, `cancelAfter` cancels the call once
//              that many reports have come
//   watch      true: print {"changed":[names]} each time the list of tools has
//              changed, until stdin ends
//
// Printed, one JSON document a line: if watched, {"watching":[names]} and the
// changes; last the whole session.

import { once } from 'node:events';

/**
 * Runs the plan and prints the session.
 * @param {(plan: object, onToolsChanged: (error, tools) => void) => Promise<object>} open
 *   Connects; resolves to `{ client, transport, protocol, callTool(params, options) }`.
 */
export async function run(open) {
    const plan = JSON.parse(process.argv[2]);
    const { client, transport, protocol, callTool } = await open(plan, (error, tools) => {
        if (plan.watch) print(error ? { failed: String(error) } : { changed: names(tools) });
    });
    const { tools } = await client.listTools();
    const seen = {
        protocol,
        server: client.getServerVersion(),
        capabilities: client.getServerCapabilities(),
        instructions: client.getInstructions(),
        tools,
        calls: []
    };
    for (const call of plan.calls ?? []) {
        seen.calls.push(await events(transport, callTool, call));
    }
    if (plan.watch) {
        print({ watching: names(tools) });
        process.stdin.resume();
        await once(process.stdin, 'end');
    }
    await client.close();
    // Left at once, whatever connection the client keeps; but not before all is written.
    print(seen, () => process.exit(0));
}

/** What one call brings, in the order it comes; its outcome is the last. */
async function events(transport, callTool, { name, arguments: args, progress, cancelAfter }) {
    const seen = [];
    const cancel = new AbortController();
    const params = args === undefined ? { name } : { name, arguments: args };
    const options = { signal: cancel.signal };
    if (progress || cancelAfter) options.onprogress = () => {};
    // Progress is taken where the messages come in: the SDKs drop a report that
    // comes together with the response.
    const { onmessage } = transport;
    transport.onmessage = (message, extra) => {
        if (message.method === 'notifications/progress') {
            const { progressToken, ...report } = message.params;
            seen.push({ progress: report });
            if (seen.length === cancelAfter) cancel.abort('the plan says so');
        }
        onmessage(message, extra);
    };
    try {
        seen.push({ result: await callTool(params, options) });
    } catch (error) {
        seen.push({ error: { code: error.code ?? null, message: String(error.message ?? error) } });
    }
    transport.onmessage = onmessage;
    return seen;
}

function names(tools) {
    return tools.map(tool => tool.name);
}

function print(document, done) {
    process.stdout.write(JSON.stringify(document) + '\n', done);
}
