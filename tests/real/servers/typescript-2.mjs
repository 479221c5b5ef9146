// A server on the TypeScript SDK's 2.x line, on stdio, in the era that its client
// begins. The argument is its name; what it offers: see offer.mjs.

import { inputRequired, Server } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { moment, offer, QUESTIONS, text, WORK } from './offer.mjs';

const name = process.argv[2];
const own = offer(name);

function serve() {
    const server = new Server({ name, version: '1' }, { capabilities: own.capabilities });

    async function call({ name, arguments: args = {}, _meta }, context) {
        if (name in QUESTIONS) {
            const { method, params, say } = QUESTIONS[name];
            const answer = context.mcpReq.inputResponses?.answer;
            // The SDK asks a legacy client itself.
            return answer ? text(say(answer)) : inputRequired({ inputRequests: { answer: { method, params } } });
        }
        switch (name) {
            case 'say':
                return text(args.words);
            case 'work':
                for (const { method, params } of WORK(context.mcpReq._meta?.progressToken)) {
                    if (method === 'notifications/message') {
                        await context.mcpReq.log(params.level, params.data, params.logger);
                    } else {
                        await context.mcpReq.notify({ method, params });
                    }
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
                throw new Error(`no tool ${name}`);
        }
    }

    for (const [method, handle] of Object.entries({
        'tools/list': own.tools,
        'tools/call': call,
        'resources/list': own.resources,
        'resources/templates/list': own.templates,
        'resources/read': ({ uri }) => own.read(uri),
        'resources/subscribe': () => ({}),
        'resources/unsubscribe': () => ({}),
        'prompts/list': own.prompts,
        'prompts/get': params => own.prompt(params.arguments),
        'completion/complete': ({ argument }) => own.complete(argument)
    })) {
        server.setRequestHandler(method, ({ params }, context) => handle(params, context));
    }
    return server;
}

serveStdio(serve);
