#!/usr/bin/env python3
"""NEXUS for assistants: a server of the Model Context Protocol over standard input and output, with the tools remember, recall,
recent and forget. Python's standard library and nexus_client.py beside it are all it needs; mcp.json shows an assistant how to
start it. Specification: https://modelcontextprotocol.io/specification
"""

import json
import sys

from nexus_client import Nexus, Refused, Stranger

# Newest first. A client that asks for another one is offered the first.
VERSIONS = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"]
PARSE_ERROR, INVALID_REQUEST, NO_SUCH_METHOD, INVALID_PARAMS = -32700, -32600, -32601, -32602


def text(description):
    """The schema of a text."""
    return {"type": "string", "description": description}


def whole(description, default):
    """The schema of how many to list."""
    return {"type": "integer", "minimum": 1, "maximum": 100, "default": default, "description": description}


TOOLS = {
    "remember": {
        "description": "Store something worth remembering in the person's own long-term memory: a fact, a decision, a preference, what was done.",
        "properties": {"content": text("One self-contained text, in the person's language."),
                       "tags": {"type": "array", "items": {"type": "string"}, "description": "A few words to find it by."}},
        "required": ["content"],
    },
    "recall": {
        "description": "Search the person's memory by meaning and by words. Use it before answering about anything they may have told before.",
        "properties": {"query": text("What is looked for, as a question or as words."), "limit": whole("How many at most.", 5),
                       "tags": {"type": "array", "items": {"type": "string"}, "description": "Only what has all of these."}},
        "required": ["query"],
    },
    "recent": {"description": "What was stored last, newest first.", "properties": {"limit": whole("How many.", 10)}, "required": []},
    "forget": {
        "description": "Remove one memory for good. Only when the person asks for it; recall it first, to have its id.",
        "properties": {"episode_id": text("The id that recall or recent gave.")},
        "required": ["episode_id"],
    },
}


class Wrong(Exception):
    """A request that is not one: a JSON-RPC error."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def listed(episodes):
    """Episodes for an assistant to read, an id and a date before each text."""
    lines = [f"[{one['episode_id']}] {one['created_at'][:16]} {' '.join('#' + tag for tag in one['tags'])}\n{one['content']}" for one in episodes]
    return "\n\n".join(lines) or "Nothing was found."


def call(nexus, name, given):
    """What a tool says."""
    if name == "remember":
        return f"Remembered as {nexus.remember(given['content'], given.get('tags', []), kind='assistant')}."
    if name == "recall":
        filters = {"tags": given["tags"]} if given.get("tags") else {}
        return listed(nexus.recall(given["query"], given.get("limit", 5), **filters))
    if name == "recent":
        return listed(nexus.recent(given.get("limit", 10)))
    nexus.forget(given["episode_id"])
    return "Forgotten for good."


def result_of_call(nexus, params):
    """A tool's result. What goes wrong in it is told to the assistant, which can mend its call or tell the person."""
    name, given = params.get("name"), params.get("arguments") or {}
    if name not in TOOLS or not isinstance(given, dict):
        raise Wrong(INVALID_PARAMS, f"there is no tool {name!r}" if name not in TOOLS else "arguments must be an object")
    lacking = [needed for needed in TOOLS[name]["required"] if needed not in given]
    try:
        said = call(nexus, name, given) if not lacking else f"This needs {', '.join(lacking)}."
    except Refused as refused:
        lacking, said = ["refused"], str(refused)
    except (OSError, ValueError, Stranger) as cause:
        lacking, said = ["no answer"], f"NEXUS does not answer at {nexus.url}: {cause}"
    return {"content": [{"type": "text", "text": said}], "isError": bool(lacking)}


def result(nexus, method, params):
    """The result of one request."""
    if method == "initialize":
        version = params.get("protocolVersion")
        return {"protocolVersion": version if version in VERSIONS else VERSIONS[0], "capabilities": {"tools": {}},
                "serverInfo": {"name": "nexus", "version": "0.1.0"}, "instructions": "The person's own long-term memory. Recall before you answer; remember what will matter later."}
    if method == "ping":
        return {}
    if method == "tools/list":
        return {"tools": [{"name": name, "description": tool["description"], "inputSchema": {"type": "object", "properties": tool["properties"], "required": tool["required"]}}
                          for name, tool in TOOLS.items()]}
    if method == "tools/call":
        return result_of_call(nexus, params)
    raise Wrong(NO_SUCH_METHOD, f"there is no method {method!r}")


def answer(nexus, line):
    """The answer to one line, or None where none is due: notifications, and answers to what was never asked."""
    number = None
    try:
        try:
            message = json.loads(line)
        except ValueError as cause:
            raise Wrong(PARSE_ERROR, f"this is no JSON: {cause}") from None
        if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
            raise Wrong(INVALID_REQUEST, "a request is an object with jsonrpc 2.0")
        number = message.get("id")
        if "id" not in message or "method" not in message:
            return None
        params = message.get("params") or {}
        if not isinstance(params, dict):
            raise Wrong(INVALID_PARAMS, "params must be an object")
        return {"jsonrpc": "2.0", "id": number, "result": result(nexus, message["method"], params)}
    except Wrong as wrong:
        return {"jsonrpc": "2.0", "id": number, "error": {"code": wrong.code, "message": str(wrong)}}


def main():
    # Standard output is the protocol's alone, in UTF-8 whatever the locale says.
    sys.stdin.reconfigure(encoding="utf-8", errors="replace")
    sys.stdout.reconfigure(encoding="utf-8")
    nexus = Nexus.from_environment()
    # An assistant waits for it: rather an error soon.
    nexus.patience = 5
    for line in sys.stdin:
        if line.strip() and (said := answer(nexus, line)) is not None:
            print(json.dumps(said, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
