#!/usr/bin/env python3
"""NEXUS for assistants: a server of the Model Context Protocol over standard input and output, with the tools remember, recall,
recent and forget. It needs only Python's standard library and nexus_client.py in the same directory. mcp.json shows how an
assistant starts it. Specification: https://modelcontextprotocol.io/specification
"""

import json
import sys

from nexus_client import Nexus, NotNexus, Refused

# Newest first. The server offers the first to a client that requests another one.
VERSIONS = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"]
PARSE_ERROR, INVALID_REQUEST, NO_SUCH_METHOD, INVALID_PARAMS = -32700, -32600, -32601, -32602


def text_schema(description):
    """The JSON schema of a text."""
    return {"type": "string", "description": description}


def count_schema(description, default):
    """The JSON schema of a number of episodes."""
    return {"type": "integer", "minimum": 1, "maximum": 100, "default": default, "description": description}


TOOLS = {
    "remember": {
        "description": "Store something worth remembering in the person's own long-term memory: a fact, a decision, a preference, a completed task.",
        "properties": {"content": text_schema("One self-contained text, in the person's language."),
                       "tags": {"type": "array", "items": {"type": "string"}, "description": "A few keywords for later searches."}},
        "required": ["content"],
    },
    "recall": {
        "description": "Search the person's memory by meaning and by words. Use it before you answer about anything that they may have mentioned before.",
        "properties": {"query": text_schema("A question or keywords."), "limit": count_schema("Maximum number of results.", 5),
                       "tags": {"type": "array", "items": {"type": "string"}, "description": "Return only episodes with all of these."}},
        "required": ["query"],
    },
    "recent": {"description": "List the latest episodes, newest first.", "properties": {"limit": count_schema("Number of episodes.", 10)}, "required": []},
    "forget": {
        "description": "Remove one memory for good. Only when the person asks for it; recall it first to get its id.",
        "properties": {"episode_id": text_schema("The id from recall or recent.")},
        "required": ["episode_id"],
    },
}


class RpcError(Exception):
    """An invalid request, which gets a JSON-RPC error."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def format_episodes(episodes):
    """Formats episodes for an assistant, with id, date and tags before each text."""
    lines = [f"[{one['episode_id']}] {one['created_at'][:16]} {' '.join('#' + tag for tag in one['tags'])}\n{one['content']}" for one in episodes]
    return "\n\n".join(lines) or "Nothing was found."


def call(nexus, name, arguments):
    """Runs a tool and returns its text."""
    if name == "remember":
        return f"Remembered as {nexus.remember(arguments['content'], arguments.get('tags', []), kind='assistant')}."
    if name == "recall":
        filters = {"tags": arguments["tags"]} if arguments.get("tags") else {}
        return format_episodes(nexus.recall(arguments["query"], arguments.get("limit", 5), **filters))
    if name == "recent":
        return format_episodes(nexus.recent(arguments.get("limit", 10)))
    nexus.forget(arguments["episode_id"])
    return "Forgotten for good."


def call_result(nexus, params):
    """The result of a tool call. It includes errors, so that the assistant can correct its call or tell the person."""
    name, arguments = params.get("name"), params.get("arguments") or {}
    if name not in TOOLS or not isinstance(arguments, dict):
        raise RpcError(INVALID_PARAMS, f"there is no tool {name!r}" if name not in TOOLS else "arguments must be an object")
    missing = [needed for needed in TOOLS[name]["required"] if needed not in arguments]
    try:
        text = call(nexus, name, arguments) if not missing else f"This needs {', '.join(missing)}."
    except Refused as refused:
        missing, text = ["refused"], str(refused)
    except (OSError, ValueError, NotNexus) as cause:
        missing, text = ["no answer"], f"NEXUS does not answer at {nexus.url}: {cause}"
    return {"content": [{"type": "text", "text": text}], "isError": bool(missing)}


def result(nexus, method, params):
    """The result of one request."""
    if method == "initialize":
        version = params.get("protocolVersion")
        return {"protocolVersion": version if version in VERSIONS else VERSIONS[0], "capabilities": {"tools": {}},
                "serverInfo": {"name": "nexus", "version": "0.1.0"}, "instructions": "The person's own long-term memory. Recall before you answer; remember what may matter later."}
    if method == "ping":
        return {}
    if method == "tools/list":
        return {"tools": [{"name": name, "description": tool["description"], "inputSchema": {"type": "object", "properties": tool["properties"], "required": tool["required"]}}
                          for name, tool in TOOLS.items()]}
    if method == "tools/call":
        return call_result(nexus, params)
    raise RpcError(NO_SUCH_METHOD, f"there is no method {method!r}")


def reply_to(nexus, line):
    """The reply to one line, or None for notifications and unexpected replies."""
    number = None
    try:
        try:
            message = json.loads(line)
        except ValueError as cause:
            raise RpcError(PARSE_ERROR, f"this is not JSON: {cause}") from None
        if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
            raise RpcError(INVALID_REQUEST, "a request is an object with jsonrpc 2.0")
        number = message.get("id")
        if "id" not in message or "method" not in message:
            return None
        params = message.get("params") or {}
        if not isinstance(params, dict):
            raise RpcError(INVALID_PARAMS, "params must be an object")
        return {"jsonrpc": "2.0", "id": number, "result": result(nexus, message["method"], params)}
    except RpcError as error:
        return {"jsonrpc": "2.0", "id": number, "error": {"code": error.code, "message": str(error)}}


def main():
    # Standard output carries only the protocol, in UTF-8 regardless of the locale.
    sys.stdin.reconfigure(encoding="utf-8", errors="replace")
    sys.stdout.reconfigure(encoding="utf-8")
    nexus = Nexus.from_environment()
    # The assistant waits for the reply, so fail soon.
    nexus.patience = 5
    for line in sys.stdin:
        if line.strip() and (reply := reply_to(nexus, line)) is not None:
            print(json.dumps(reply, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
