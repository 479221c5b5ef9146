// A client on the TypeScript SDK's 1.x line (`@modelcontextprotocol/sdk`), which
// speaks the legacy era only. What it does and prints: see session.mjs.

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
    CreateMessageRequestSchema,
    ElicitRequestSchema,
    ListRootsRequestSchema
} from '@modelcontextprotocol/sdk/types.js';
import { run } from './session.mjs';

await run(async ({ connect }, onToolsChanged, answers) => {
    const transport = connect.url
        ? new StreamableHTTPClientTransport(new URL(connect.url))
        : new StdioClientTransport(connect);
    const client = new Client(
        { name: 'real-typescript-1', version: '1' },
        {
            // All that mcpmux relays: a server may offer more to who can do more.
            // All that mcpmux relays: a server may offer more to who can do more.
            capabilities: { roots: {}, sampling: { context: {}, tools: {} }, elicitation: { form: {}, url: {} } },
            listChanged: { tools: { onChanged: onToolsChanged } }
        }
    );
    for (const schema of [ElicitRequestSchema, CreateMessageRequestSchema, ListRootsRequestSchema]) {
        client.setRequestHandler(schema, ({ method, params }) => answers[method](params));
    }
    let protocol;
    // The SDK tells the transport alone which version was agreed on; stdio has no such method.
    transport.setProtocolVersion ??= () => {};
    const setProtocolVersion = transport.setProtocolVersion.bind(transport);
    transport.setProtocolVersion = version => setProtocolVersion((protocol = version));
    await client.connect(transport);
    return {
        client,
        transport,
        protocol,
        callTool: (params, options) => client.callTool(params, undefined, options)
    };
});
