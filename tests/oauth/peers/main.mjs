// One authorization server and the protected MCP servers behind it, all on free
// loopback ports. What they are to be like is in the variable PEERS, as JSON;
// where they listen is printed as one line of JSON: `issuer`, `resources` in the
// order of `PEERS.resources`, and `control`. They end with their stdin.
//
// Under `control`: `GET /events` answers with all that happened so far; `POST
// /revoke` takes back every grant; `POST /refuse` lets no access token be taken that was given
// out by now, as if all had expired.
import { createServer } from "node:http";

import { authorization, issued } from "./authorization.mjs";
import { protectedServer } from "./protected.mjs";
import { all } from "./record.mjs";

const peers = JSON.parse(process.env.PEERS);
const refused = new Set();
const server = await authorization(peers.authorization);
const resources = [];
for (const resource of peers.resources) {
  resources.push(await protectedServer(server.issuer, resource, refused));
}

const orders = {
  async "/revoke"() {
    await server.revoke();
    return {};
  },
  async "/refuse"() {
    for (const jti of issued) refused.add(jti);
    return {};
  },
  "/events": all,
};

const control = createServer(async (request, response) => {
  const { pathname } = new URL(request.url, "http://localhost");
  const answer = JSON.stringify(await orders[pathname]());
  response.writeHead(200, { "Content-Type": "application/json" });
  response.end(answer);
});
control.listen(0, "127.0.0.1", () => {
  const address = `http://127.0.0.1:${control.address().port}`;
  console.log(JSON.stringify({ issuer: server.issuer, resources, control: address }));
});
process.stdin.resume().on("end", () => process.exit());
