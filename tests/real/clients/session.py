"""One session of a Python client, the same for each generation of the SDK:
connect, list the tools, take the steps of the plan, and print what was seen.

The plan is the one argument, JSON: `connect` ({url} or {command, args}),
`negotiate` ("legacy" or "auto", for a client that knows both eras) and `calls`,
the steps (see steps.py), taken in turn. One JSON document is printed; the
events of a step are in the order in which they came, its outcome last.
"""

import asyncio
import json
import sys

from steps import Steps, plain


def run(open_session, types, error_type):
    """Runs the plan in the session that `open_session(plan, callbacks)`, an
    asynchronous context manager, yields; `types` are the SDK's, and `error_type`
    is what it raises for an error answer."""
    print(json.dumps(asyncio.run(_seen(open_session, types, error_type))))


async def _seen(open_session, types, error_type):
    plan = json.loads(sys.argv[1])
    todo = plan.get("calls", [])
    steps = Steps(types)
    async with open_session(plan, steps.callbacks()) as (session, about):
        modern = about["protocol"] >= "2026"
        tools = (await session.list_tools()).tools
        if not modern and any(step.get("log") for step in todo):
            await session.set_logging_level("debug")
        calls = [await steps.take(session, step, modern, error_type) for step in todo]
        return {**about, "tools": [plain(tool) for tool in tools], "calls": calls}
