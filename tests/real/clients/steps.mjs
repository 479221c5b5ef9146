// The steps of a TypeScript client's plan, and what is seen on the way.
//
// A step is one of
//   {do: "call", name, arguments?, progress?, log?, cancelAfter?}   tools/call
//   {do: "read", uri}  {do: "prompt", name, arguments}
//   {do: "complete", ref, argument}
//   {do: "subscribe", uri}      listens for updates of the resource and for
//                               changes of the list of tools
//   {do: "unsubscribe", uri}
//   {do: "updated", uri}        waits until it has been told of an update
//   {do: "listed", tool, listed}  lists the tools, after every change again,
//                               until the tool is or is not among them
//   {do: "list", what}          "tools", "resources", "resourceTemplates", "prompts"
//
// and brings events: {progress} and {log} as they come, {asked} for what the
// server wants of the client, and last {result} or {error}.

const LIMIT = 10_000;
const LOG_LEVEL = 'io.modelcontextprotocol/logLevel';

/** What the client answers when the server asks it. */
export const ANSWERS = {
    'elicitation/create': () => ({ action: 'accept', content: { name: 'Ada' } }),
    'sampling/createMessage': () => ({ role: 'assistant', model: 'parrot', content: { type: 'text', text: 'Hello.' } }),
    'roots/list': () => ({ roots: [{ uri: 'file:///ground', name: 'ground' }] })
};

/** The steps over one connected client. */
export class Steps {
    #client;
    #callTool;
    #modern;
    #subscriptions = new Map();
    /** Where what comes on the way goes. */
    #seen = [];
    #cancelAfter;
    #cancel;
    /** Notifications that no step has waited for yet. */
    #heard = [];
    #wake = () => {};

    constructor({ client, transport, callTool, protocol }) {
        this.#client = client;
        this.#callTool = callTool;
        this.#modern = protocol >= '2026';
        // Taken where the messages come in: the SDKs drop a report of progress
        // that comes together with the response.
        const { onmessage } = transport;
        transport.onmessage = (message, extra) => {
            this.#take(message);
            onmessage(message, extra);
        };
    }

    /** The server has asked for something. */
    asked(method, params) {
        this.#seen.push({ asked: method, message: params?.message ?? params?.messages?.[0]?.content?.text });
    }

    /** Before the first step that is not a call: log messages are wanted, all of them. */
    async wantLog() {
        if (!this.#modern) await this.#client.setLoggingLevel('debug');
    }

    /** Takes one step; gives its events, in the order in which they came. */
    async take(step) {
        const seen = (this.#seen = []);
        try {
            seen.push({ result: await this.#run(step) });
        } catch (error) {
            seen.push({ error: { code: error.code ?? null, message: String(error.message ?? error) } });
        }
        this.#seen = [];
        return seen;
    }

    #run(step) {
        const client = this.#client;
        switch (step.do ?? 'call') {
            case 'call':
                return this.#call(step);
            case 'read':
                return client.readResource({ uri: step.uri });
            case 'prompt':
                return client.getPrompt({ name: step.name, arguments: step.arguments });
            case 'complete':
                return client.complete({ ref: step.ref, argument: step.argument });
            case 'subscribe':
                return this.#subscribe(step.uri);
            case 'unsubscribe':
                return this.#unsubscribe(step.uri);
            case 'updated':
                return this.#updated(step.uri);
            case 'listed':
                return this.#listed(step);
            case 'list':
                return client[`list${step.what[0].toUpperCase()}${step.what.slice(1)}`]();
        }
    }

    #call({ name, arguments: args, progress, cancelAfter, log }) {
        this.#cancel = new AbortController();
        this.#cancelAfter = cancelAfter;
        const options = { signal: this.#cancel.signal };
        if (progress || cancelAfter) options.onprogress = () => {};
        const params = args === undefined ? { name } : { name, arguments: args };
        if (log && this.#modern) params._meta = { [LOG_LEVEL]: 'debug' };
        return this.#callTool(params, options);
    }

    async #subscribe(uri) {
        if (!this.#modern) return this.#client.subscribeResource({ uri });
        const subscription = await this.#client.listen({ toolsListChanged: true, resourceSubscriptions: [uri] });
        this.#subscriptions.set(uri, subscription);
        return {};
    }

    async #unsubscribe(uri) {
        if (!this.#modern) return this.#client.unsubscribeResource({ uri });
        await this.#subscriptions.get(uri).close();
        return {};
    }

    async #updated(uri) {
        await this.#hear(({ method, params }) => method === 'notifications/resources/updated' && params.uri === uri);
        return { updated: uri };
    }

    async #listed({ tool, listed }) {
        for (;;) {
            await this.#hear(({ method }) => method === 'notifications/tools/list_changed');
            const { tools } = await this.#client.listTools();
            if (tools.some(({ name }) => name === tool) === listed) return { listed };
        }
    }

    async #hear(wanted) {
        const until = Date.now() + LIMIT;
        for (;;) {
            const found = this.#heard.some(wanted);
            this.#heard = this.#heard.filter(message => !wanted(message));
            if (found) return;
            if (Date.now() > until) throw new Error('heard nothing of it');
            await new Promise(resolve => {
                const timer = setTimeout(resolve, until + 1 - Date.now());
                this.#wake = () => (clearTimeout(timer), resolve());
            });
        }
    }

    #take({ method, id, params }) {
        if (method === 'notifications/progress') {
            const { progressToken, ...report } = params;
            this.#seen.push({ progress: report });
            if (this.#seen.length === this.#cancelAfter) this.#cancel.abort('the plan says so');
        } else if (method === 'notifications/message') {
            const { level, logger, data } = params;
            this.#seen.push({ log: { level, logger, data } });
        } else if (method !== undefined && id === undefined) {
            this.#heard.push({ method, params });
            this.#wake();
        }
    }
}
