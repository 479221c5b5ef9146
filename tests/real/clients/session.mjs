// One session of a TypeScript client, the same for each generation of the SDK:
// connect, list the tools, take the steps of the plan, and print what was seen.
//
// The plan is the one argument, JSON:
//   connect    { url } or { command, args, env }
//   negotiate  "legacy" or "auto", for a client that knows both eras
//   calls      the steps (see steps.mjs), taken in turn; a call may be just
//              { name, arguments?, progress?, log?, cancelAfter? }: `progress` and
//              `log` ask for either, `cancelAfter` cancels the call once that
//              many reports have come
//   watch      true: print {"changed":[names]} each time the list of tools has
//              changed, until stdin ends
//
// Printed, one JSON document a line: if watched, {"watching":[names]} and the
// changes; last the whole session.

import { once } from 'node:events';
import { ANSWERS, Steps } from './steps.mjs';

/**
 * Runs the plan and prints the session.
 * @param {(plan: object, onToolsChanged: (error, tools) => void, answers: object) => Promise<object>} open
 *   Connects, answering what the server asks with `answers[method](params)`;
 *   resolves to `{ client, transport, protocol, callTool(params, options) }`.
 */
export async function run(open) {
    const plan = JSON.parse(process.argv[2]);
    let steps;
    const answers = Object.entries(ANSWERS).map(([method, answer]) => [
        method,
        params => {
            steps?.asked(method, params);
            return answer();
        }
    ]);
    const onToolsChanged = (error, tools) => {
        if (plan.watch) print(error ? { failed: String(error) } : { changed: names(tools) });
    };
    const opened = await open(plan, onToolsChanged, Object.fromEntries(answers));
    const { client, protocol } = opened;
    steps = new Steps(opened);
    const { tools } = await client.listTools();
    const seen = {
        protocol,
        server: client.getServerVersion(),
        capabilities: client.getServerCapabilities(),
        instructions: client.getInstructions(),
        tools,
        calls: []
    };
    if (plan.calls?.some(({ log }) => log)) await steps.wantLog();
    for (const step of plan.calls ?? []) {
        seen.calls.push(await steps.take(step));
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

function names(tools) {
    return tools.map(tool => tool.name);
}

function print(document, done) {
    process.stdout.write(JSON.stringify(document) + '\n', done);
}
