// A stand-in for the model behind Claude Code: an HTTP server on a free port of
// 127.0.0.1 with as much of the Messages API as makes the client call one tool.
//
// The argument, JSON: { name, input }, the tool call to ask for. Each request
// with tools that has no tool result yet is answered with that call; one with a
// result with the text "done". Printed, one JSON document a line:
//   {"url"}             once, where to send ANTHROPIC_BASE_URL
//   {"tools":[names]}   for each request with tools, those offered to the model
//   {"result"}          for each tool result that comes back
// Ends when stdin does.

import { createServer } from 'node:http';

const { name, input } = JSON.parse(process.argv[2]);

const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    if (request.method !== 'POST' || !request.url.startsWith('/v1/messages')) {
        response.writeHead(404).end();
        return;
    }
    if (request.url.includes('count_tokens')) {
        response.writeHead(200, { 'content-type': 'application/json' }).end('{"input_tokens":1}');
        return;
    }
    const { messages, tools = [], model, stream } = JSON.parse(body);
    const result = messages.flatMap(({ content }) => content).findLast(({ type }) => type === 'tool_result');
    if (tools.length) print({ tools: tools.map(tool => tool.name) });
    if (result) print({ result: result.content, isError: result.is_error ?? false });
    const call = tools.length > 0 && !result;
    const block = call ? { type: 'tool_use', id: 'toolu_1', name, input } : { type: 'text', text: 'done' };
    answer(response, { model, block, stream, stop_reason: call ? 'tool_use' : 'end_turn' });
});

server.listen(0, '127.0.0.1', () => print({ url: `http://127.0.0.1:${server.address().port}` }));
process.stdin.resume().on('end', () => process.exit(0));

/** One assistant message of one content block, whole or as a stream of events. */
function answer(response, { model, block, stream, stop_reason }) {
    const usage = { input_tokens: 1, output_tokens: 1 };
    const message = { id: 'msg_1', type: 'message', role: 'assistant', model, stop_sequence: null, usage };
    if (!stream) {
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ ...message, content: [block], stop_reason }));
        return;
    }
    const delta =
        block.type === 'text'
            ? { type: 'text_delta', text: block.text }
            : { type: 'input_json_delta', partial_json: JSON.stringify(block.input) };
    const start = block.type === 'text' ? { ...block, text: '' } : { ...block, input: {} };
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const event of [
        { type: 'message_start', message: { ...message, content: [], stop_reason: null } },
        { type: 'content_block_start', index: 0, content_block: start },
        { type: 'content_block_delta', index: 0, delta },
        { type: 'content_block_stop', index: 0 },
        { type: 'message_delta', delta: { stop_reason, stop_sequence: null }, usage },
        { type: 'message_stop' }
    ]) {
        response.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
    }
    response.end();
}

function print(document) {
    process.stdout.write(JSON.stringify(document) + '\n');
}
