// The authorization server: oidc-provider, which is certified by the OpenID
// Foundation, with what MCP asks of one.
import { randomBytes } from "node:crypto";
import { createServer } from "node:http";

import { decodeJwt } from "jose";
import Provider from "oidc-provider";

import { note, secret } from "./record.mjs";

const LOOPBACK = /^http:\/\/(127\.0\.0\.1|localhost)(:\d+)?(\/|$)/;

// It says that it is set up for development; stdout and stderr are for more.
console.info = console.warn = () => {};

/** The grants that were given out, so that they can be taken back. */
const grants = new Set();

/** The `jti` of each access token that was given out. */
export const issued = new Set();

/** `resource` as a resource server of its own, or an error as RFC 8707 has it. */
function resourceServer(resource, options) {
  if (!LOOPBACK.test(resource)) {
    const description = `unknown resource ${resource}`;
    throw Object.assign(new Error("invalid_target"), {
      status: 400,
      statusCode: 400,
      expose: true,
      error: "invalid_target",
      error_description: description,
    });
  }
  return {
    scope: options.scopes.join(" "),
    audience: resource,
    accessTokenFormat: "jwt",
    accessTokenTTL: options.accessTtl,
    jwt: { sign: { alg: "RS256" } },
  };
}

function configuration(options) {
  return {
    clients: options.clients,
    scopes: ["openid", "offline_access", ...options.scopes],
    features: {
      clientCredentials: { enabled: true },
      deviceFlow: { enabled: options.device },
      introspection: { enabled: true },
      registration: { enabled: options.registration },
      revocation: { enabled: options.revocation },
      resourceIndicators: {
        enabled: true,
        defaultResource: (_, __, oneOf) => oneOf ?? options.defaultResource,
        useGrantedResource: () => true,
        getResourceServerInfo: (_, resource) => resourceServer(resource, options),
      },
      // With a nonce in every proof, and each proof and assertion good once.
      ...(options.bound && {
        dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => true },
      }),
      ...(options.documents && {
        clientIdMetadataDocument: {
          enabled: true,
          ack: "draft-02",
          allowFetch: () => true,
          allowClient: () => true,
        },
      }),
    },
    // Documents of clients are at https addresses, which nothing here serves.
    fetch: async (url) => {
      const document = options.documents?.[url];
      return document === undefined
        ? new Response("", { status: 404 })
        : Response.json(document, { headers: { "cache-control": "max-age=60" } });
    },
    pkce: { required: () => true },
    // Each refresh brings a new refresh token; use of an old one ends the grant.
    rotateRefreshToken: () => true,
    issueRefreshToken: (_, client, code) =>
      client.grantTypeAllowed("refresh_token") &&
      (options.refresh === "always" || code.scopes.has("offline_access")),
    ttl: {
      AccessToken: options.accessTtl,
      ClientCredentials: options.accessTtl,
      RefreshToken: options.refreshTtl,
      DeviceCode: options.deviceTtl,
      AuthorizationCode: 60,
      Interaction: 600,
      Session: 3600,
      Grant: 86_400,
    },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    cookies: { keys: ["of-no-importance"] },
  };
}

/** Notes what a request has shown and what its answer gives out. */
function observe(ctx) {
  const { body = {}, route } = ctx.oidc ?? {};
  const answer = typeof ctx.body === "object" && ctx.body !== null ? ctx.body : {};
  const query = ctx.query ?? {};
  secret("state", query.state);
  for (const name of ["code", "code_verifier", "refresh_token", "device_code", "client_secret", "client_assertion", "token", "password"]) {
    secret(name, body[name]);
  }
  for (const name of ["access_token", "refresh_token", "id_token", "device_code", "client_secret", "registration_access_token"]) {
    secret(name, answer[name]);
  }
  const location = ctx.response.get("location");
  if (location) secret("code", new URL(location, "http://localhost").searchParams.get("code"));
  const basic = /^Basic (.+)$/.exec(ctx.get("authorization"))?.[1];
  secret("authorization", basic);
  if (basic) secret("client_secret", decodeURIComponent(Buffer.from(basic, "base64").toString().split(":")[1]));
  if (answer.access_token && route === "token") {
    try {
      issued.add(decodeJwt(answer.access_token).jti);
    } catch {
      // One for no resource is opaque.
    }
  }
  const grant = ctx.oidc?.entities?.Grant?.jti;
  if (grant) grants.add(grant);
  note("request", {
    method: ctx.method,
    path: ctx.path,
    route,
    status: ctx.status,
    grant: body.grant_type,
    bound: answer.token_type === "DPoP",
    client: ctx.oidc?.client?.clientId ?? body.client_id ?? query.client_id,
    resource: body.resource ?? query.resource,
    scope: body.scope ?? query.scope,
    redirect: body.redirect_uri ?? query.redirect_uri,
    granted: answer.scope,
    error: answer.error,
    description: answer.error_description,
    registered: route === "registration" && answer.client_id ? withoutSecrets(answer) : undefined,
    agent: ctx.get("user-agent"),
  });
}

function withoutSecrets({ client_secret: _, registration_access_token: __, ...rest }) {
  return rest;
}

/** Starts it on a free loopback port; gives its issuer and what can be done to it. */
export async function authorization(options) {
  const server = createServer();
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, configuration(options));
  provider.use(async (ctx, next) => {
    try {
      await next();
    } finally {
      observe(ctx);
    }
  });
  provider.on("grant.revoked", () => note("grant revoked"));
  provider.on("server_error", (_, error) => console.error(error));
  server.on("request", provider.callback());
  return {
    issuer,
    /** Takes every grant back: refresh tokens are good for nothing from now on. */
    async revoke() {
      for (const grant of grants) {
        await provider.RefreshToken.revokeByGrantId(grant);
        await (await provider.Grant.find(grant))?.destroy();
      }
      grants.clear();
    },
  };
}
