// The tasks extension (SEP-2663), which the SDK does not have: requests about
// tasks are answered here before the SDK sees them.
import { CLIENT_CAPABILITIES_META_KEY } from "@modelcontextprotocol/server";
import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";

import { object, text, tool } from "./tools.mjs";

export const TASKS = "io.modelcontextprotocol/tasks";

const INVALID_PARAMS = -32602;
const HEADER_MISMATCH = -32020;
const MISSING_CAPABILITY = -32021;
const ENDED = ["completed", "failed", "cancelled"];

const ask = (message) => ({
  method: "elicitation/create",
  params: { mode: "form", message, requestedSchema: object({ ok: { type: "boolean" } }) },
});

/** What each tool does; `input` asks the client, `ended` fires on cancellation. */
const WORK = {
  async slow_compute({ seconds = 0 }, { ended }) {
    await pause(seconds * 1000, undefined, { signal: ended });
    return text(`computed for ${seconds} s`);
  },
  async failing_job() {
    return { ...text("the job failed"), isError: true };
  },
  async protocol_error_job() {
    throw new Error("the job broke");
  },
  async confirm_delete({ filename }, { input }) {
    const { confirm } = await input({ confirm: ask(`Delete ${filename}?`) });
    return text(`${filename}: ${confirm.action}`);
  },
  async multi_input(_, { input }) {
    const answers = await input({ first: ask("The first?"), second: ask("The second?") });
    return text(Object.keys(answers).sort().join(", "));
  },
  async test_tool_with_task(_, { gathered }) {
    return text(`Hello, ${gathered.user_name.content.name}!`);
  },
};

/** Tools that are of no use to a client without tasks. */
const REQUIRED = ["failing_job", "test_tool_with_task"];

const tasks = new Map();

class Task {
  #ended = new AbortController();
  #resume;
  status = "working";
  at = { taskId: randomUUID(), createdAt: new Date().toISOString() };
  inputRequests = {};
  answers = {};

  constructor(work, args, gathered) {
    tasks.set(this.at.taskId, this);
    this.#become("working");
    const input = (requests) => this.#ask(requests);
    work(args, { input, gathered, ended: this.#ended.signal }).then(
      (result) => this.#end("completed", { result: { resultType: "complete", ...result } }),
      ({ message }) => this.#end("failed", { error: { code: -32603, message } }),
    );
  }

  #become(status) {
    this.status = status;
    this.at.lastUpdatedAt = new Date().toISOString();
  }

  #end(status, outcome) {
    if (!ENDED.includes(this.status)) {
      this.outcome = outcome;
      this.#become(status);
    }
  }

  #ask(requests) {
    this.inputRequests = requests;
    this.#become("input_required");
    return new Promise((resolve) => (this.#resume = resolve));
  }

  update(responses) {
    for (const [key, response] of Object.entries(responses)) {
      if (delete this.inputRequests[key]) this.answers[key] = response;
    }
    if (this.status === "input_required" && Object.keys(this.inputRequests).length === 0) {
      this.#become("working");
      this.#resume(this.answers);
    }
  }

  cancel() {
    this.#end("cancelled", {});
    this.#ended.abort();
  }

  get seed() {
    return { ...this.at, status: this.status, ttlMs: 60_000, pollIntervalMs: 100 };
  }

  get detailed() {
    const asked = this.status === "input_required" && { inputRequests: this.inputRequests };
    return { ...this.seed, ...asked, ...this.outcome };
  }
}

const METHODS = {
  "tasks/get": (task) => task.detailed,
  "tasks/update": (task, { inputResponses = {} }) => task.update(inputResponses),
  "tasks/cancel": (task) => task.cancel(),
};

function begin({ name, arguments: args = {}, inputResponses }) {
  if (name === "test_tool_with_task" && inputResponses?.user_name === undefined) {
    const requestedSchema = object({ name: { type: "string" } }, ["name"]);
    const params = { mode: "form", message: "What is your name?", requestedSchema };
    const user_name = { method: "elicitation/create", params };
    return { resultType: "input_required", inputRequests: { user_name } };
  }
  return { resultType: "task", ...new Task(WORK[name], args, inputResponses).seed };
}

/**
 * The answer to the modern request `body`, or nothing if it is not about tasks:
 * a result or an error.
 */
export function answer({ method, params = {} }) {
  const declared = params._meta?.[CLIENT_CAPABILITIES_META_KEY]?.extensions?.[TASKS];
  const called = method === "tools/call" && Object.hasOwn(WORK, params.name);
  if (!called && !Object.hasOwn(METHODS, method)) return undefined;
  if (declared === undefined) {
    if (called && !REQUIRED.includes(params.name)) return undefined;
    const data = { requiredCapabilities: { extensions: { [TASKS]: {} } } };
    return { error: { code: MISSING_CAPABILITY, message: "the client has no tasks", data } };
  }
  if (called) return { result: begin(params) };
  const task = tasks.get(params.taskId);
  if (task === undefined) {
    return { error: { code: INVALID_PARAMS, message: "there is no such task" } };
  }
  return { result: { resultType: "complete", ...METHODS[method](task, params) } };
}

/** The same over HTTP: an error if the headers are at odds with the body. */
export function answerOverHttp(headers, body) {
  const answered = answer(body);
  const name = body.params?.taskId ?? body.params?.name;
  const agree = headers["mcp-method"] === body.method && headers["mcp-name"] === name;
  if (answered === undefined || agree) return answered;
  return { error: { code: HEADER_MISMATCH, message: "the headers are at odds with the body" } };
}

/** Registers the tools, for clients without tasks. */
export function addTaskTools(server) {
  tool(server, "greet", "Greets.", ({ name }) => text(`Hello, ${name}!`));
  const alone = { input: async () => ({ confirm: { action: "cancel" } }) };
  for (const [name, work] of Object.entries(WORK)) {
    tool(server, name, "Works in the background.", (args) => work(args, alone));
  }
}
