// The tools that the suite calls, plain ones.
import { fromJsonSchema } from "@modelcontextprotocol/server";

/** One red pixel, as PNG. */
export const PIXEL =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";

/** No sound, as WAV. */
const SILENCE = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA=";

export const text = (words) => ({ content: [{ type: "text", text: words }] });

export const object = (properties = {}, required = []) => ({
  type: "object",
  properties,
  required,
});

/** Registers a tool whose arguments are described by a JSON Schema. */
export function tool(server, name, description, call, schema = { type: "object" }) {
  server.registerTool(name, { description, inputSchema: fromJsonSchema(schema) }, call);
}

const moment = () => new Promise((resolve) => setTimeout(resolve, 20));

/** The whole vocabulary of JSON Schema 2020-12, which lists must keep. */
const FULL_SCHEMA = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object",
  $defs: {
    address: {
      $anchor: "addressDef",
      type: "object",
      properties: { street: { type: "string" }, city: { type: "string" } },
    },
  },
  properties: {
    name: { type: "string" },
    address: { $ref: "#/$defs/address" },
    contactMethod: { type: "string", enum: ["phone", "email"] },
    phone: { type: "string" },
    email: { type: "string" },
  },
  allOf: [{ anyOf: [{ required: ["phone"] }, { required: ["email"] }] }],
  if: { properties: { contactMethod: { const: "phone" } }, required: ["contactMethod"] },
  then: { required: ["phone"] },
  else: { required: ["email"] },
  additionalProperties: false,
};

function contents(server) {
  tool(server, "test_simple_text", "Answers with a text.", () =>
    text("This is a simple text response for testing."),
  );
  tool(server, "test_image_content", "Answers with an image.", () => ({
    content: [{ type: "image", data: PIXEL, mimeType: "image/png" }],
  }));
  tool(server, "test_audio_content", "Answers with a sound.", () => ({
    content: [{ type: "audio", data: SILENCE, mimeType: "audio/wav" }],
  }));
  const resource = (uri, mimeType, words) => ({
    type: "resource",
    resource: { uri, mimeType, text: words },
  });
  tool(server, "test_embedded_resource", "Answers with a resource.", () => ({
    content: [resource("test://embedded-resource", "text/plain", "An embedded resource.")],
  }));
  tool(server, "test_multiple_content_types", "Answers with several contents.", () => ({
    content: [
      { type: "text", text: "Multiple content types test:" },
      { type: "image", data: PIXEL, mimeType: "image/png" },
      resource("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
    ],
  }));
  tool(server, "test_error_handling", "Fails.", () => {
    throw new Error("This tool intentionally returns an error for testing");
  });
  tool(
    server,
    "json_schema_2020_12_tool",
    "Has a schema with every keyword.",
    (args) => text(`called with ${JSON.stringify(args)}`),
    FULL_SCHEMA,
  );
  tool(
    server,
    "test_x_mcp_header",
    "Has an argument that is mirrored into a header.",
    ({ region }) => text(`region=${region ?? "none"}`),
    object({ region: { type: "string", "x-mcp-header": "Region" }, level: { type: "integer" } }),
  );
}

function notifications(server) {
  tool(server, "test_tool_with_logging", "Logs while it works.", async (_, context) => {
    for (const data of ["started", "processing data", "completed"]) {
      await context.mcpReq.notify({
        method: "notifications/message",
        params: { level: "info", data: `Tool execution ${data}` },
      });
      await moment();
    }
    return text("Tool with logging executed successfully");
  });
  tool(server, "test_logging_tool", "Logs where the request allows it.", async (_, context) => {
    await context.mcpReq.log("info", "test_logging_tool ran");
    return text("logged");
  });
  tool(server, "test_tool_with_progress", "Tells its progress.", async (_, context) => {
    const progressToken = context.mcpReq._meta?.progressToken;
    for (const progress of progressToken === undefined ? [] : [0, 50, 100]) {
      await context.mcpReq.notify({
        method: "notifications/progress",
        params: { progressToken, progress, total: 100, message: `Step ${progress} of 100` },
      });
      await moment();
    }
    return text(String(progressToken));
  });
  tool(server, "test_reconnection", "Ends its stream and goes on.", async (_, context) => {
    context.http?.closeSSE?.();
    await new Promise((resolve) => setTimeout(resolve, 100));
    return text("Reconnection test completed successfully.");
  });
}

/** Registers them; `changed` tells the listening clients that a list changed. */
export function addTools(server, changed) {
  contents(server);
  notifications(server);
  for (const list of ["tool", "prompt"]) {
    tool(server, `test_trigger_${list}_change`, `Says that the ${list}s changed.`, () => {
      changed(list);
      return text(`${list}s changed`);
    });
  }
}
