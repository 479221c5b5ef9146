// The reference server: the official SDK with all that the suite asks for, in
// every revision. Over stdio; or with `--http` on a free loopback port, and then
// it prints its URL.
import {
  localhostHostValidation,
  localhostOriginValidation,
  NodeStreamableHTTPServerTransport,
  toNodeHandler,
} from "@modelcontextprotocol/node";
import {
  classifyInboundRequest,
  createMcpHandler,
  isInitializeRequest,
  McpServer,
  PROTOCOL_VERSION_META_KEY,
} from "@modelcontextprotocol/server";
import { memorySkillFiles, SkillsExtension } from "@modelcontextprotocol/server/ext/skills";
import { serveStdio, StdioServerTransport } from "@modelcontextprotocol/server/stdio";
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";

import { addAsking, state } from "./asking.mjs";
import { addContext } from "./context.mjs";
import { events } from "./events.mjs";
import { addTaskTools, answer, answerOverHttp, TASKS } from "./tasks.mjs";
import { addTools } from "./tools.mjs";

const skills = await SkillsExtension.load(
  memorySkillFiles({
    "greeting/SKILL.md": "---\nname: greeting\ndescription: How to greet.\n---\nSay hello.\n",
    "greeting/references/formal.md": "Good day.\n",
  }),
  { directoryRead: true },
);

/** A server; `changed` tells the listening clients that a list changed. */
function reference(changed) {
  const listChanged = true;
  const server = new McpServer(
    { name: "conformance-reference", version: "1.0.0" },
    {
      capabilities: {
        tools: { listChanged },
        resources: { subscribe: true, listChanged },
        prompts: { listChanged },
        logging: {},
        completions: {},
        extensions: { [TASKS]: {} },
      },
      requestState: { verify: state.verify },
    },
  );
  addTools(server, changed ?? ((list) => tell(server, list)));
  addContext(server);
  addAsking(server);
  addTaskTools(server);
  skills.attach(server);
  return server;
}

function tell(server, list) {
  return list === "tool" ? server.sendToolListChanged() : server.sendPromptListChanged();
}

const STATUS = { [-32020]: 400, [-32021]: 400 };

function send(response, status, id, answered) {
  response.writeHead(status, { "Content-Type": "application/json" });
  response.end(JSON.stringify({ jsonrpc: "2.0", id, ...answered }));
}

/** Stdin and stdout, where what is about tasks is answered on the way. */
function stdio() {
  const transport = new StdioServerTransport();
  let serve;
  const take = (message, extra) => {
    const modern = message.params?._meta?.[PROTOCOL_VERSION_META_KEY] !== undefined;
    const answered = modern && message.id !== undefined ? answer(message) : undefined;
    return answered === undefined
      ? serve(message, extra)
      : transport.send({ jsonrpc: "2.0", id: message.id, ...answered });
  };
  Object.defineProperty(transport, "onmessage", {
    get: () => serve && take,
    set: (served) => (serve = served),
  });
  return transport;
}

/** Modern requests go to a handler without sessions, the others to their session. */
function http() {
  const sessions = new Map();
  const modern = createMcpHandler(() =>
    reference((list) => (list === "tool" ? modern.notify.toolsChanged() : modern.notify.promptsChanged())),
  );
  const serveModern = toNodeHandler(modern);

  async function begin() {
    const transport = new NodeStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      eventStore: events(),
      retryInterval: 1000,
      onsessioninitialized: (id) => sessions.set(id, transport),
    });
    transport.onclose = () => sessions.delete(transport.sessionId);
    await reference().connect(transport);
    return transport;
  }

  async function serve(request, response) {
    const headers = request.headers;
    const chunks = request.method === "POST" ? await request.toArray() : [];
    const body = chunks.length > 0 ? JSON.parse(Buffer.concat(chunks)) : undefined;
    const inbound = classifyInboundRequest({
      httpMethod: request.method,
      protocolVersionHeader: headers["mcp-protocol-version"],
      mcpMethodHeader: headers["mcp-method"],
      body,
    });
    if (inbound.kind !== "legacy" && request.method === "POST") {
      const answered = inbound.kind === "modern" && answerOverHttp(headers, body);
      return answered
        ? send(response, STATUS[answered.error?.code] ?? 200, body.id, answered)
        : serveModern(request, response, body);
    }
    const id = headers["mcp-session-id"];
    const transport =
      id === undefined && isInitializeRequest(body) ? await begin() : sessions.get(id);
    if (transport === undefined) {
      const [status, message] = id ? [404, "Session not found"] : [400, "Session ID required"];
      return send(response, status, null, { error: { code: -32000, message } });
    }
    return transport.handleRequest(request, response, body);
  }

  const validHost = localhostHostValidation();
  const validOrigin = localhostOriginValidation();
  const server = createServer((request, response) => {
    if (validHost(request, response) && validOrigin(request, response)) {
      serve(request, response).catch((error) => {
        console.error(error);
        if (!response.headersSent) response.writeHead(500);
        response.end();
      });
    }
  });
  server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}/mcp`));
}

if (process.argv.includes("--http")) {
  http();
  // Ends with whoever started it.
  process.stdin.resume().on("end", () => process.exit());
} else {
  serveStdio(() => reference(), { transport: stdio() });
}
