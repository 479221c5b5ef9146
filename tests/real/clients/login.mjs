// A client on the TypeScript SDK's 1.x line that logs in by itself, as the SDK
// does: it registers, prints `{"authorize": URL}`, reads the code from the first
// line of stdin, calls the tool that is its second argument, and prints
// `{"result": …}`. Its first argument is the endpoint.

import { createInterface } from 'node:readline/promises';
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

const [endpoint, tool] = process.argv.slice(2);
const say = message => process.stdout.write(`${JSON.stringify(message)}\n`);
const kept = {};
const authProvider = {
    redirectUrl: 'http://127.0.0.1:1/callback',
    clientMetadata: {
        client_name: 'real-login',
        redirect_uris: ['http://127.0.0.1:1/callback'],
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        token_endpoint_auth_method: 'none'
    },
    clientInformation: () => kept.client,
    saveClientInformation: client => void (kept.client = client),
    tokens: () => kept.tokens,
    saveTokens: tokens => void (kept.tokens = tokens),
    saveCodeVerifier: verifier => void (kept.verifier = verifier),
    codeVerifier: () => kept.verifier,
    redirectToAuthorization: url => say({ authorize: url.href })
};

const connect = async () => {
    const transport = new StreamableHTTPClientTransport(new URL(endpoint), { authProvider });
    const client = new Client({ name: 'real-login', version: '1' });
    try {
        await client.connect(transport);
        return client;
    } catch (error) {
        if (!(error instanceof UnauthorizedError)) throw error;
        const lines = createInterface({ input: process.stdin });
        const { value: code } = await lines[Symbol.asyncIterator]().next();
        lines.close();
        await transport.finishAuth(code);
        return connect();
    }
};

const client = await connect();
say({ result: await client.callTool({ name: tool, arguments: {} }), token: kept.tokens.access_token });
await client.close();
process.exit();
