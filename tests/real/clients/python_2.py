"""A client on the Python SDK's 2.x line: it probes for the modern era first,
unless the plan says `"negotiate": "legacy"`. What it does and prints: see
session.py."""

from contextlib import asynccontextmanager

from mcp import Client, MCPError, StdioServerParameters

from session import run


async def unused(*_):
    raise NotImplementedError


@asynccontextmanager
async def open_session(plan):
    connect = plan["connect"]
    server = connect["url"] if "url" in connect else StdioServerParameters(**connect)
    # All that mcpmux relays: a server may offer more to who can do more.
    async with Client(
        server,
        mode=plan.get("negotiate", "auto"),
        sampling_callback=unused,
        elicitation_callback=unused,
        list_roots_callback=unused,
    ) as client:
        info = client.server_info
        yield (
            client,
            {
                "protocol": client.protocol_version,
                "server": info and info.model_dump(mode="json", exclude_none=True),
                "instructions": client.instructions,
            },
        )


run(open_session, MCPError)
