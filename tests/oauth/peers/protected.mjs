// The protected MCP server: the official SDK in both eras, behind a check of
// the access token, with the metadata of RFC 9728.
import { NodeStreamableHTTPServerTransport, toNodeHandler } from "@modelcontextprotocol/node";
import {
  classifyInboundRequest,
  createMcpHandler,
  fromJsonSchema,
  isInitializeRequest,
  McpServer,
} from "@modelcontextprotocol/server";
import { createRemoteJWKSet, jwtVerify } from "jose";
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";

import { NONCE, proven } from "./possession.mjs";
import { note } from "./record.mjs";

const text = (words) => ({ content: [{ type: "text", text: words }] });

function make() {
  const server = new McpServer({ name: "protected", version: "1" }, { capabilities: { tools: {} } });
  const tool = (name, description, call, properties = {}) =>
    server.registerTool(
      name,
      { description, inputSchema: fromJsonSchema({ type: "object", properties }) },
      call,
    );
  tool("whoami", "Tells whose token it is.", (_, context) => text(JSON.stringify(context.http.authInfo.extra)));
  tool("echo", "Says it again.", ({ message }) => text(message ?? ""), { message: { type: "string" } });
  tool("admin", "Needs the scope mcp:admin.", () => text("admin ok"));
  return server;
}

/** What a message needs. */
function needed({ method, params } = {}) {
  if (method !== "tools/call") return "mcp:read";
  return params?.name === "admin" ? "mcp:admin" : "mcp:call";
}

const parameters = (given) =>
  Object.entries(given)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}="${value}"`)
    .join(", ");

/**
 * Starts it on a free loopback port. Tokens are of `issuer`; those whose `jti`
 * `refused` holds are not taken.
 */
export async function protectedServer(issuer, options, refused) {
  const scheme = options.bound ? "DPoP" : "Bearer";
  const sessions = new Map();
  const modern = toNodeHandler(createMcpHandler(make));
  const keys = createRemoteJWKSet(new URL(`${issuer}/jwks`));
  const server = createServer();
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  const origin = `http://127.0.0.1:${server.address().port}`;
  const url = `${origin}/mcp`;
  const well_known = "/.well-known/oauth-protected-resource";
  const place = options.metadataAtRoot ? well_known : `${well_known}/mcp`;
  const metadata = {
    resource: options.resource ?? url,
    authorization_servers: [issuer],
    scopes_supported: ["mcp:read", "mcp:call", "mcp:admin"],
    bearer_methods_supported: ["header"],
  };

  function send(response, status, body, headers = {}) {
    response.writeHead(status, { "Content-Type": "application/json", ...headers });
    response.end(JSON.stringify(body));
  }

  function deny(response, status, error, description, scope) {
    const challenge = parameters({
      error,
      error_description: description,
      scope: options.scopeInChallenge ? scope : undefined,
      resource_metadata: options.metadataInChallenge ? origin + place : undefined,
    });
    const headers = options.challenge ? { "WWW-Authenticate": `${scheme} ${challenge}` } : {};
    if (options.bound) headers["DPoP-Nonce"] = NONCE;
    send(response, status, { error: error ?? "unauthorized", error_description: description }, headers);
    note("denied", { status, error });
  }

  /** The claims of the token, or nothing: then the answer is given. */
  async function admit(request, response, body) {
    const [given, token] = (request.headers.authorization ?? "").split(" ");
    if (token === undefined || given !== scheme) return deny(response, 401, undefined, undefined, options.scope);
    let claims;
    try {
      claims = (await jwtVerify(token, keys, { issuer, audience: metadata.resource })).payload;
      if (refused.has(claims.jti)) throw new Error("refused");
      if (options.bound && !(await proven(request, url, token, claims))) {
        return deny(response, 401, "use_dpop_nonce", "the proof lacks the nonce", options.scope);
      }
    } catch (error) {
      return deny(response, 401, "invalid_token", error.code ?? error.message, options.scope);
    }
    const scopes = (claims.scope ?? "").split(" ");
    const need = needed(body);
    if (!scopes.includes(need)) {
      return deny(response, 403, "insufficient_scope", `needs ${need}`, need);
    }
    const { sub, client_id, jti } = claims;
    note("served", { rpc: body?.method, tool: body?.params?.name, sub, client: client_id, jti, scopes });
    return { token, clientId: client_id, scopes, extra: { sub, client: client_id, jti, scopes } };
  }

  async function legacy(request, response, body) {
    const id = request.headers["mcp-session-id"];
    let transport = sessions.get(id);
    if (id === undefined && isInitializeRequest(body)) {
      transport = new NodeStreamableHTTPServerTransport({
        sessionIdGenerator: randomUUID,
        onsessioninitialized: (id) => sessions.set(id, transport),
      });
      transport.onclose = () => sessions.delete(transport.sessionId);
      await make().connect(transport);
    }
    if (transport === undefined) {
      const error = { code: -32000, message: id ? "Session not found" : "Session ID required" };
      return send(response, id ? 404 : 400, { jsonrpc: "2.0", id: null, error });
    }
    return transport.handleRequest(request, response, body);
  }

  async function serve(request, response) {
    const { pathname } = new URL(request.url, origin);
    if (pathname === place && options.metadata) return send(response, 200, metadata);
    if (pathname !== "/mcp") return send(response, 404, {});
    const chunks = request.method === "POST" ? await request.toArray() : [];
    const body = chunks.length > 0 ? JSON.parse(Buffer.concat(chunks)) : undefined;
    request.auth = await admit(request, response, body);
    if (request.auth === undefined) return;
    const inbound = classifyInboundRequest({
      httpMethod: request.method,
      protocolVersionHeader: request.headers["mcp-protocol-version"],
      mcpMethodHeader: request.headers["mcp-method"],
      body,
    });
    if (options.era === "legacy" || inbound.kind === "legacy" || request.method !== "POST") {
      return legacy(request, response, body);
    }
    return modern(request, response, body);
  }

  server.on("request", (request, response) => {
    serve(request, response).catch((error) => {
      console.error(error);
      if (!response.headersSent) response.writeHead(500);
      response.end();
    });
  });
  return url;
}
