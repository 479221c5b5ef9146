// A server on the TypeScript SDK's 1.x line, on stdio. The argument is its name;
// what it offers: see offer.mjs.

import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import * as types from '@modelcontextprotocol/sdk/types.js';
import { moment, offer, QUESTIONS, text, WORK } from './offer.mjs';

const name = process.argv[2];
const own = offer(name);
const server = new Server({ name, version: '1' }, { capabilities: own.capabilities });

const RESULTS = { ask: types.ElicitResultSchema, sample: types.CreateMessageResultSchema, roots: types.ListRootsResultSchema };

async function call({ name, arguments: args = {}, _meta }, extra) {
    if (name in QUESTIONS) {
        const { method, params, say } = QUESTIONS[name];
        return text(say(await extra.sendRequest({ method, params }, RESULTS[name])));
    }
    switch (name) {
        case 'say':
            return text(args.words);
        case 'work':
            for (const notification of WORK(_meta?.progressToken)) {
                await extra.sendNotification(notification);
                await moment();
            }
            return text('worked');
        case 'touch':
            await server.sendResourceUpdated({ uri: own.note });
            return text('touched');
        case 'grow':
            own.grow(args.grown);
            await server.sendToolListChanged();
            return text(`grown: ${args.grown}`);
        default:
            throw new types.McpError(-32602, `no tool ${name}`);
    }
}

for (const [schema, handle] of [
    [types.ListToolsRequestSchema, own.tools],
    [types.CallToolRequestSchema, call],
    [types.ListResourcesRequestSchema, own.resources],
    [types.ListResourceTemplatesRequestSchema, own.templates],
    [types.ReadResourceRequestSchema, ({ uri }) => own.read(uri)],
    [types.SubscribeRequestSchema, () => ({})],
    [types.UnsubscribeRequestSchema, () => ({})],
    [types.ListPromptsRequestSchema, own.prompts],
    [types.GetPromptRequestSchema, params => own.prompt(params.arguments)],
    [types.CompleteRequestSchema, ({ argument }) => own.complete(argument)]
]) {
    server.setRequestHandler(schema, ({ params }, extra) => handle(params, extra));
}

await server.connect(new StdioServerTransport());
