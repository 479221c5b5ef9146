"""A server on the Python SDK's 2.x line, in the era that its client begins: on
stdio, or with `--http` on a free port of 127.0.0.1, which it logs. The first
argument is its name; what it offers: see offer.py."""

import asyncio
import sys
import warnings

import mcp_types as types
import uvicorn
from mcp import MCPDeprecationWarning
from mcp.server import Server
from mcp.server.lowlevel import NotificationOptions
from mcp.server.stdio import stdio_server
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ListenHandler,
    ResourceUpdated,
    ToolsListChanged,
)

from offer import QUESTIONS, Offer, moment, text

warnings.simplefilter("ignore", MCPDeprecationWarning)
MODERN = "2026-07-28"
own = Offer(sys.argv[1])
bus = InMemorySubscriptionBus()

ASKED = {
    "ask": (types.ElicitRequest, types.ElicitResult),
    "sample": (types.CreateMessageRequest, types.CreateMessageResult),
    "roots": (types.ListRootsRequest, types.ListRootsResult),
}


async def ask(context, params):
    question, (request, result) = QUESTIONS[params.name], ASKED[params.name]
    asked = request.model_validate({"method": question.method, "params": question.params})
    if context.protocol_version < MODERN:
        return text(question.say(await context.session.send_request(asked, result)))
    if params.input_responses:
        return text(question.say(params.input_responses["answer"]))
    return types.InputRequiredResult(input_requests={"answer": asked})


async def call(context, params):
    arguments, session = params.arguments or {}, context.session
    match params.name:
        case "say":
            return text(arguments["words"])
        case name if name in QUESTIONS:
            return await ask(context, params)
        case "work":
            for step in (1, 2):
                await session.report_progress(step, 2)
                await moment()
                if step == 1:
                    await session.send_log_message("info", "half way", "work", context.request_id)
                    await moment()
            return text("worked")
        case "touch":
            if context.protocol_version < MODERN:
                await session.send_resource_updated(own.note)
            await bus.publish(ResourceUpdated(own.note))
            return text("touched")
        case "grow":
            own.grown = arguments["grown"]
            if context.protocol_version < MODERN:
                await session.send_tool_list_changed()
            await bus.publish(ToolsListChanged())
            return text(f"grown: {str(own.grown).lower()}")
    raise ValueError(f"no tool {params.name}")


def handler(result, answer):
    async def handle(context, params):
        given = answer(context, params)
        given = await given if asyncio.iscoroutine(given) else given
        return given if isinstance(given, types.Result) else result.model_validate(given)

    return handle


server = Server(
    own.name,
    version="1",
    on_list_tools=handler(types.ListToolsResult, lambda *_: own.tools()),
    on_call_tool=handler(types.CallToolResult, call),
    on_list_resources=handler(types.ListResourcesResult, lambda *_: own.resources()),
    on_list_resource_templates=handler(types.ListResourceTemplatesResult, lambda *_: own.templates()),
    on_read_resource=handler(types.ReadResourceResult, lambda _, read: own.read(str(read.uri))),
    on_subscribe_resource=handler(types.EmptyResult, lambda *_: {}),
    on_unsubscribe_resource=handler(types.EmptyResult, lambda *_: {}),
    on_subscriptions_listen=ListenHandler(bus),
    on_set_logging_level=handler(types.EmptyResult, lambda *_: {}),
    on_list_prompts=handler(types.ListPromptsResult, lambda *_: own.prompts()),
    on_get_prompt=handler(types.GetPromptResult, lambda _, get: own.prompt(get.arguments)),
    on_completion=handler(
        types.CompleteResult,
        lambda _, complete: own.complete(complete.argument.name, complete.argument.value),
    ),
)


async def main():
    options = server.create_initialization_options(NotificationOptions(tools_changed=True))
    async with stdio_server() as (read, write):
        await server.run(read, write, options)


if "--http" in sys.argv:
    uvicorn.run(server.streamable_http_app(), host="127.0.0.1", port=0)
else:
    asyncio.run(main())
