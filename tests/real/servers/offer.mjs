// What the servers of this folder offer, the same on each SDK. `name` is the
// server's own and the scheme of its URIs: behind mcpmux none is listed twice.

/** One server's offer, as the protocol has it; what an SDK must do is left to it. */
export function offer(name) {
    const note = `${name}://note`;
    const app = `ui://${name}/app.html`;
    let grown = false;
    return {
        note,
        capabilities: {
            tools: { listChanged: true },
            resources: { subscribe: true, listChanged: true },
            prompts: {},
            completions: {},
            logging: {}
        },
        tools: () => ({ tools: grown ? [...TOOLS(app), tool('grown')] : TOOLS(app) }),
        grow: to => (grown = to),
        resources: () => ({
            resources: [
                { uri: note, name: 'note', mimeType: 'text/plain' },
                { uri: app, name: 'app', mimeType: APP }
            ]
        }),
        templates: () => ({
            resourceTemplates: [{ uriTemplate: `${name}://item/{id}`, name: 'item', mimeType: 'text/plain' }]
        }),
        read: uri => ({
            contents: [
                uri === app
                    ? { uri, mimeType: APP, text: '<p>An app</p>' }
                    : { uri, mimeType: 'text/plain', text: `${name} has ${uri.split('//')[1]}` }
            ]
        }),
        prompts: () => ({ prompts: [{ name: 'greet', arguments: [{ name: 'who', required: true }] }] }),
        prompt: ({ who }) => ({ messages: [{ role: 'user', content: { type: 'text', text: `Greet ${who}.` } }] }),
        complete: ({ name, value }) => ({
            completion: { values: [`${value}-${name}-1`, `${value}-${name}-2`], total: 2, hasMore: false }
        })
    };
}

const APP = 'text/html;profile=mcp-app';

const tool = (name, properties = {}, rest = {}) => ({ name, inputSchema: { type: 'object', properties }, ...rest });

const TOOLS = app => [
    tool('say', { words: { type: 'string' } }, { _meta: { ui: { resourceUri: app } } }),
    tool('work'),
    ...Object.keys(QUESTIONS).map(name => tool(name)),
    tool('touch'),
    tool('grow', { grown: { type: 'boolean' } })
];

/** The tools that ask the client for something: the request, and what to say of the answer. */
export const QUESTIONS = {
    ask: {
        method: 'elicitation/create',
        params: {
            mode: 'form',
            message: 'What is your name?',
            requestedSchema: { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] }
        },
        say: ({ action, content }) => `${action}: ${content?.name}`
    },
    sample: {
        method: 'sampling/createMessage',
        params: { messages: [{ role: 'user', content: { type: 'text', text: 'Speak.' } }], maxTokens: 10 },
        say: ({ model, content }) => `${model}: ${content.text}`
    },
    roots: {
        method: 'roots/list',
        params: {},
        say: ({ roots }) => roots.map(({ uri }) => uri).join(' ')
    }
};

export const text = words => ({ content: [{ type: 'text', text: words }] });

/** Time for a notification to be handed on before what comes next. */
export const moment = () => new Promise(resolve => setTimeout(resolve, 20));

/** What `work` sends on the way to its answer. */
export const WORK = token => [
    { method: 'notifications/progress', params: { progressToken: token, progress: 1, total: 2 } },
    { method: 'notifications/message', params: { level: 'info', logger: 'work', data: 'half way' } },
    { method: 'notifications/progress', params: { progressToken: token, progress: 2, total: 2 } }
];
