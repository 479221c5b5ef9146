"""A client on the Python SDK's 2.x line: it probes for the modern era first,
unless the plan says `"negotiate": "legacy"`. What it does and prints: see
session.py."""

import warnings
from contextlib import asynccontextmanager

import mcp_types as types
from mcp import Client, MCPDeprecationWarning, MCPError, StdioServerParameters

from session import run


# Setting the log level is one.
warnings.simplefilter("ignore", MCPDeprecationWarning)


@asynccontextmanager
async def open_session(plan, callbacks):
    connect = plan["connect"]
    server = connect["url"] if "url" in connect else StdioServerParameters(**connect)
    async with Client(server, mode=plan.get("negotiate") or "auto", **callbacks) as client:
        info = client.server_info
        yield (
            client,
            {
                "protocol": client.protocol_version,
                "server": info and info.model_dump(mode="json", exclude_none=True),
                "instructions": client.instructions,
            },
        )


run(open_session, types, MCPError)
