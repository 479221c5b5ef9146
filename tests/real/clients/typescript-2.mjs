// A client on the TypeScript SDK's 2.x line (`@modelcontextprotocol/client`):
// legacy unless the plan says `"negotiate": "auto"`, which probes for the modern
// era. What it does and prints: see session.mjs.

import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { run } from './session.mjs';

await run(async ({ connect, negotiate = 'legacy' }, onToolsChanged, answers) => {
    const transport = connect.url
        ? new StreamableHTTPClientTransport(new URL(connect.url))
        : new StdioClientTransport(connect);
    const client = new Client(
        { name: 'real-typescript-2', version: '1' },
        {
            // All that mcpmux relays: a server may offer more to who can do more.
            capabilities: { roots: {}, sampling: { context: {}, tools: {} }, elicitation: { form: {}, url: {} } },
            versionNegotiation: { mode: negotiate },
            listChanged: { tools: { onChanged: onToolsChanged } }
        }
    );
    for (const [method, answer] of Object.entries(answers)) {
        client.setRequestHandler(method, ({ params }) => answer(params));
    }
    await client.connect(transport);
    return {
        client,
        transport,
        protocol: client.getNegotiatedProtocolVersion(),
        callTool: (params, options) => client.callTool(params, options)
    };
});
