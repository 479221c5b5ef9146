// The tools that ask the client for something. They ask by `inputRequired`,
// which the SDK turns into requests of the server's own for legacy clients.
import {
  acceptedContent,
  CLIENT_CAPABILITIES_META_KEY,
  createRequestStateCodec,
  inputRequired,
} from "@modelcontextprotocol/server";
import { randomBytes, randomUUID } from "node:crypto";

import { object, text, tool } from "./tools.mjs";

/** Seals what a retry brings back. */
export const state = createRequestStateCodec({ key: randomBytes(32) });

const seal = (what) => state.mint({ ...what, nonce: randomUUID() });

const ask = (message, properties, required = Object.keys(properties)) =>
  inputRequired.elicit({ message, requestedSchema: object(properties, required) });

const askName = (message = "What is your name?") => ask(message, { name: { type: "string" } });

const confirm = () => ask("Please confirm", { ok: { type: "boolean" } });

const sample = (words, maxTokens = 100) =>
  inputRequired.createMessage({
    messages: [{ role: "user", content: { type: "text", text: words } }],
    maxTokens,
  });

const answers = (context) => context.mcpReq.inputResponses;

const accepted = (context, key) => acceptedContent(answers(context), key);

/** A tool that asks once, and tells what came. */
function asksOnce(server, name, description, key, request, tell, schema) {
  const call = (args, context) => {
    const answer = answers(context)?.[key];
    return answer === undefined
      ? inputRequired({ inputRequests: { [key]: request(args) } })
      : text(tell(answer));
  };
  tool(server, name, description, call, schema);
}

const tellElicited = ({ action, content }) =>
  `Elicitation completed: action=${action}, content=${JSON.stringify(content ?? {})}`;

const OPTIONS = ["option1", "option2", "option3"];
const titled = (...titles) => titles.map((title, n) => ({ const: `value${n + 1}`, title }));

function first(server) {
  asksOnce(
    server,
    "test_sampling",
    "Asks the client's model.",
    "sampled",
    ({ prompt }) => sample(prompt),
    ({ content }) => `LLM response: ${content?.text ?? "none"}`,
    object({ prompt: { type: "string" } }, ["prompt"]),
  );
  asksOnce(
    server,
    "test_elicitation",
    "Asks the user.",
    "elicited",
    ({ message }) => ask(message, { response: { type: "string" } }),
    tellElicited,
    object({ message: { type: "string" } }, ["message"]),
  );
  const defaults = {
    name: { type: "string", default: "John Doe" },
    age: { type: "integer", default: 30 },
    score: { type: "number", default: 95.5 },
    status: { type: "string", enum: ["active", "inactive", "pending"], default: "active" },
    verified: { type: "boolean", default: true },
  };
  asksOnce(
    server,
    "test_elicitation_sep1034_defaults",
    "Asks with defaults.",
    "elicited",
    () => ask("Please review the defaults", defaults, []),
    tellElicited,
  );
  const many = { type: "array", minItems: 1, maxItems: 3 };
  const enums = {
    untitledSingle: { type: "string", enum: OPTIONS },
    titledSingle: { type: "string", oneOf: titled("First Option", "Second Option", "Third Option") },
    legacyEnum: {
      type: "string",
      enum: ["opt1", "opt2", "opt3"],
      enumNames: ["Option One", "Option Two", "Option Three"],
    },
    untitledMulti: { ...many, items: { type: "string", enum: OPTIONS } },
    titledMulti: { ...many, items: { anyOf: titled("First Choice", "Second Choice", "Third Choice") } },
  };
  asksOnce(
    server,
    "test_elicitation_sep1330_enums",
    "Asks with choices.",
    "elicited",
    () => ask("Please choose", enums, []),
    tellElicited,
  );
}

function rounds(server) {
  asksOnce(
    server,
    "test_missing_capability",
    "Asks the client's model.",
    "llm_answer",
    () => sample("Reply with the single word: pong", 16),
    () => "sampled",
  );
  tool(server, "test_streaming_elicitation", "Asks nothing.", () => text("nothing was asked"));
  tool(server, "test_input_required_result_elicitation", "Asks for a name.", (_, context) => {
    const name = accepted(context, "user_name")?.name;
    return typeof name === "string"
      ? text(`Hello, ${name}!`)
      : inputRequired({ inputRequests: { user_name: askName() } });
  });
  asksOnce(
    server,
    "test_input_required_result_sampling",
    "Asks the client's model.",
    "capital_question",
    () => sample("What is the capital of France?"),
    (answer) => `Sampling response: ${answer.content?.text ?? JSON.stringify(answer)}`,
  );
  tool(server, "test_input_required_result_list_roots", "Asks for roots.", (_, context) => {
    const roots = answers(context)?.client_roots?.roots;
    return Array.isArray(roots)
      ? text(`Client exposed ${roots.length} root(s): ${roots.map(({ uri }) => uri).join(", ")}`)
      : inputRequired({ inputRequests: { client_roots: inputRequired.listRoots() } });
  });
  for (const [kind, good] of [
    ["request_state", "state-ok: confirmed"],
    ["tampered_state", "integrity-ok: confirmed"],
  ]) {
    tool(server, `test_input_required_result_${kind}`, "Seals a state.", async (_, context) =>
      accepted(context, "confirm") !== undefined && context.mcpReq.requestState() !== undefined
        ? text(good)
        : inputRequired({
            inputRequests: { confirm: confirm() },
            requestState: await seal({ kind }),
          }),
    );
  }
  tool(server, "test_input_required_result_multiple_inputs", "Asks thrice at once.", many);
  tool(server, "test_input_required_result_multi_round", "Asks twice in turn.", twice);
  tool(server, "test_input_required_result_capabilities", "Asks what can be asked.", able);
}

async function many(_, context) {
  const name = accepted(context, "user_name")?.name;
  const greeting = answers(context)?.greeting?.content?.text;
  const roots = answers(context)?.client_roots?.roots;
  if (typeof name === "string" && typeof greeting === "string" && Array.isArray(roots)) {
    return text(`${greeting} ${name}, ${roots.length} root(s)`);
  }
  return inputRequired({
    inputRequests: {
      user_name: askName(),
      greeting: sample("Generate a greeting", 50),
      client_roots: inputRequired.listRoots(),
    },
    requestState: await seal({ kind: "multiple_inputs" }),
  });
}

async function twice(_, context) {
  const sealed = context.mcpReq.requestState();
  if (sealed?.round === 2) {
    const color = accepted(context, "step2")?.color ?? "unknown";
    return text(`Multi-round complete: ${sealed.name} likes ${color}`);
  }
  if (sealed?.round === 1) {
    const name = accepted(context, "step1")?.name ?? "unknown";
    return inputRequired({
      inputRequests: {
        step2: ask("Step 2: What is your favorite color?", { color: { type: "string" } }),
      },
      requestState: await seal({ round: 2, name }),
    });
  }
  return inputRequired({
    inputRequests: { step1: askName("Step 1: What is your name?") },
    requestState: await seal({ round: 1 }),
  });
}

function able(_, context) {
  if (answers(context) !== undefined) {
    return text("asked and answered");
  }
  const declared = context.mcpReq.envelope?.[CLIENT_CAPABILITIES_META_KEY] ?? {};
  const inputRequests = {
    ...(declared.elicitation && { user_name: askName() }),
    ...(declared.sampling && { greeting: sample("Generate a short greeting", 50) }),
    ...(declared.roots && { client_roots: inputRequired.listRoots() }),
  };
  return Object.keys(inputRequests).length === 0
    ? text("the client can be asked nothing")
    : inputRequired({ inputRequests });
}

/** A prompt that asks before it answers. */
function askingPrompt(server) {
  const described = { description: "Asks before it answers." };
  server.registerPrompt("test_input_required_result_prompt", described, (context) => {
    const given = accepted(context, "user_context")?.context;
    return typeof given === "string"
      ? { messages: [{ role: "user", content: { type: "text", text: `In the context: ${given}` } }] }
      : inputRequired({
          inputRequests: {
            user_context: ask("What context should be used?", { context: { type: "string" } }),
          },
        });
  });
}

/** Registers them. */
export function addAsking(server) {
  first(server);
  rounds(server);
  askingPrompt(server);
}
