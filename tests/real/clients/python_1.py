"""A client on the Python SDK's 1.x line, which speaks the legacy era only.
What it does and prints: see session.py."""

from contextlib import asynccontextmanager

from mcp import ClientSession, McpError, StdioServerParameters, types
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

from session import run


@asynccontextmanager
async def open_session(plan, callbacks):
    connect = plan["connect"]
    transport = (
        streamable_http_client(connect["url"])
        if "url" in connect
        else stdio_client(StdioServerParameters(**connect))
    )
    async with transport as (read, write, *_), ClientSession(read, write, **callbacks) as session:
        initialized = await session.initialize()
        yield (
            session,
            {
                "protocol": initialized.protocolVersion,
                "server": initialized.serverInfo.model_dump(mode="json", exclude_none=True),
                "instructions": initialized.instructions,
            },
        )


run(open_session, types, McpError)
