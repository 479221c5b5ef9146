// The resources and prompts that the suite reads.
import { fromJsonSchema, ResourceTemplate } from "@modelcontextprotocol/server";

import { object, PIXEL } from "./tools.mjs";

function addResources(server) {
  const add = (name, mimeType, content) => {
    const uri = `test://${name}`;
    server.registerResource(name, uri, { title: name, mimeType }, () => ({
      contents: [{ uri, mimeType, ...content }],
    }));
  };
  add("static-text", "text/plain", { text: "This is the content of the static text resource." });
  add("static-binary", "image/png", { blob: PIXEL });
  add("watched-resource", "text/plain", { text: "Watched resource content" });
  const mimeType = "application/json";
  const template = new ResourceTemplate("test://template/{id}/data", { list: undefined });
  server.registerResource("template", template, { title: "template", mimeType }, (uri, { id }) => ({
    contents: [{ uri: uri.href, mimeType, text: JSON.stringify({ id, data: `Data for ID: ${id}` }) }],
  }));
  for (const method of ["resources/subscribe", "resources/unsubscribe"]) {
    server.server.setRequestHandler(method, () => ({}));
  }
}

function addPrompts(server) {
  const says = (...contents) => ({
    messages: contents.map((content) => ({ role: "user", content })),
  });
  const words = (text) => ({ type: "text", text });
  const strings = (...names) =>
    fromJsonSchema(object(Object.fromEntries(names.map((name) => [name, { type: "string" }])), names));
  server.registerPrompt("test_simple_prompt", { description: "Takes nothing." }, () =>
    says(words("This is a simple prompt for testing.")),
  );
  server.registerPrompt(
    "test_prompt_with_arguments",
    { description: "Takes arguments.", argsSchema: strings("arg1", "arg2") },
    ({ arg1, arg2 }) => says(words(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)),
  );
  server.registerPrompt(
    "test_prompt_with_embedded_resource",
    { description: "Gives a resource.", argsSchema: strings("resourceUri") },
    ({ resourceUri: uri }) =>
      says(
        { type: "resource", resource: { uri, mimeType: "text/plain", text: "Embedded." } },
        words("Please process the embedded resource above."),
      ),
  );
  server.registerPrompt("test_prompt_with_image", { description: "Gives an image." }, () =>
    says(
      { type: "image", data: PIXEL, mimeType: "image/png" },
      words("Please analyze the image above."),
    ),
  );
}

/** Registers them, and what goes with them: completion and a log level. */
export function addContext(server) {
  addResources(server);
  addPrompts(server);
  server.server.setRequestHandler("completion/complete", () => ({
    completion: { values: [], total: 0, hasMore: false },
  }));
  server.server.setRequestHandler("logging/setLevel", () => ({}));
}
