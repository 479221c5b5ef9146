"""A server on the Python SDK's 1.x line, on stdio. The argument is its name;
what it offers: see offer.py."""

import asyncio
import sys

from mcp import types
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.stdio import stdio_server

from offer import QUESTIONS, Offer, moment, text

own = Offer(sys.argv[1])
server = Server(own.name, version="1")

ASKED = {
    "ask": (types.ElicitRequest, types.ElicitResult),
    "sample": (types.CreateMessageRequest, types.CreateMessageResult),
    "roots": (types.ListRootsRequest, types.ListRootsResult),
}


async def call(params):
    context, arguments = server.request_context, params.arguments or {}
    match params.name:
        case "say":
            return text(arguments["words"])
        case name if question := QUESTIONS.get(name):
            request, result = ASKED[name]
            asked = request.model_validate({"method": question.method, "params": question.params})
            return text(question.say(await context.session.send_request(types.ServerRequest(asked), result)))
        case "work":
            token = context.meta and context.meta.progressToken
            for step in (1, 2):
                if token is not None:
                    await context.session.send_progress_notification(token, step, 2)
                await moment()
                if step == 1:
                    await context.session.send_log_message("info", "half way", "work", context.request_id)
                    await moment()
            return text("worked")
        case "touch":
            await context.session.send_resource_updated(own.note)
            return text("touched")
        case "grow":
            own.grown = arguments["grown"]
            await context.session.send_tool_list_changed()
            return text(f"grown: {str(own.grown).lower()}")
    raise ValueError(f"no tool {params.name}")


async def done(_):
    return {}


def at_once(answer):
    async def handle(params):
        return answer(params)

    return handle


for request, result, handle in [
    (types.ListToolsRequest, types.ListToolsResult, at_once(lambda _: own.tools())),
    (types.CallToolRequest, types.CallToolResult, call),
    (types.ListResourcesRequest, types.ListResourcesResult, at_once(lambda _: own.resources())),
    (
        types.ListResourceTemplatesRequest,
        types.ListResourceTemplatesResult,
        at_once(lambda _: own.templates()),
    ),
    (types.ReadResourceRequest, types.ReadResourceResult, at_once(lambda read: own.read(str(read.uri)))),
    (types.SubscribeRequest, types.EmptyResult, done),
    (types.UnsubscribeRequest, types.EmptyResult, done),
    (types.SetLevelRequest, types.EmptyResult, done),
    (types.ListPromptsRequest, types.ListPromptsResult, at_once(lambda _: own.prompts())),
    (types.GetPromptRequest, types.GetPromptResult, at_once(lambda get: own.prompt(get.arguments))),
    (
        types.CompleteRequest,
        types.CompleteResult,
        at_once(lambda complete: own.complete(complete.argument.name, complete.argument.value)),
    ),
]:

    async def answer(asked, result=result, handle=handle):
        return types.ServerResult(result.model_validate(await handle(asked.params)))

    server.request_handlers[request] = answer


async def main():
    options = server.create_initialization_options(NotificationOptions(tools_changed=True))
    # The SDK knows no subscribing server.
    options.capabilities.resources.subscribe = True
    async with stdio_server() as (read, write):
        await server.run(read, write, options)


asyncio.run(main())
