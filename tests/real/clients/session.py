"""One session of a Python client, the same for each generation of the SDK:
connect, list the tools, make the calls of the plan, and print what was seen.

The plan is the one argument, JSON: `connect` ({url} or {command, args}),
`negotiate` ("legacy" or "auto", for a client that knows both eras) and `calls`
([{name, arguments?, progress?}], made in turn). One JSON document is printed;
the events of a call are in the order in which they came, its outcome last.
"""

import asyncio
import json
import sys


def run(open_session, error_type):
    """Runs the plan in the session that `open_session(plan)`, an asynchronous
    context manager, yields; `error_type` is what the SDK raises for an error
    answer."""
    print(json.dumps(asyncio.run(_seen(open_session, error_type))))


async def _seen(open_session, error_type):
    plan = json.loads(sys.argv[1])
    async with open_session(plan) as (session, about):
        tools = (await session.list_tools()).tools
        calls = [await _events(session, error_type, call) for call in plan.get("calls", [])]
        return {**about, "tools": [_plain(tool) for tool in tools], "calls": calls}


async def _events(session, error_type, call):
    seen = []

    async def on_progress(progress, total, message):
        report = {"progress": progress, "total": total, "message": message}
        seen.append({"progress": {key: value for key, value in report.items() if value is not None}})

    callback = on_progress if call.get("progress") else None
    try:
        result = await session.call_tool(
            call["name"], call.get("arguments"), progress_callback=callback
        )
        seen.append({"result": _plain(result)})
    except error_type as error:
        seen.append({"error": {"code": error.error.code, "message": error.error.message}})
    return seen


def _plain(model):
    return model.model_dump(by_alias=True, mode="json", exclude_none=True)
