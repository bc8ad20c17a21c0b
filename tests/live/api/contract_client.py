#!/usr/bin/env python3
"""Promise: the official library of assistants (the package `mcp`) works with the example server. usage: contract_client.py MCP_SERVER"""

import asyncio
import os
import sys

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client


async def main():
    server = StdioServerParameters(command=sys.executable, args=["-B", sys.argv[1]], env={**os.environ, "NEXUS_AGENT": "assistant-library"})
    async with stdio_client(server) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        names = {tool.name for tool in (await session.list_tools()).tools}
        if names != {"remember", "recall", "recent", "forget"}:
            sys.exit(f"the tools are {names}")
        said = []
        for tool, arguments in (("remember", {"content": "The lighthouse is white and red"}), ("recall", {"query": "lighthouse white"})):
            result = await session.call_tool(tool, arguments)
            said.append(result.content[0].text)
            if result.is_error:
                sys.exit(f"{tool}: {said[-1]}")
        if "white and red" not in said[1]:
            sys.exit(f"recall found {said[1]!r}")


asyncio.run(main())
