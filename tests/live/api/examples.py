#!/usr/bin/env python3
"""Promise: the examples work as they are: the client from the shell, and the MCP server as an assistant starts and asks it."""

import json
import os
import pathlib
import subprocess
import sys
import uuid

from client import expect

EXAMPLES = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "/usr/local/share/nexus/examples")
AGENT = f"examples-{uuid.uuid4().hex[:8]}"
ENVIRONMENT = {**os.environ, "NEXUS_AGENT": AGENT}


def shell(*arguments, ends=0, **environment):
    """Returns the output of nexus_client.py."""
    done = subprocess.run([sys.executable, "-B", EXAMPLES / "nexus_client.py", *arguments], text=True, capture_output=True, check=False, env={**ENVIRONMENT, **environment})
    expect(done.returncode == ends, f"{arguments} ended with {done.returncode}: {done.stdout} {done.stderr}")
    return (done.stderr if ends else done.stdout).strip()


def the_client():
    episode = shell("remember", "The spare key is with Marta, next door 🔑", "--tag", "home")
    found = shell("recall", "spare key")
    expect(episode in found and "Marta" in found, f"recall found {found!r}")
    expect(episode in shell("recent"), "recent lacks it")
    shell("forget", episode)
    expect(episode not in shell("recent"), "it is there after forget")
    expect("no such episode" in shell("forget", episode, ends=1).lower(), "forgetting it twice is not reported")
    expect("limit" in shell("recall", "x", "--limit", "1000", ends=1), "a wrong limit is not named")


class Assistant:
    """Starts the server as in mcp.json, and sends it requests in turn."""

    def __init__(self, **environment):
        config = json.loads((EXAMPLES / "mcp.json").read_text(encoding="utf-8"))["mcpServers"]["nexus"]
        arguments = [str(EXAMPLES / pathlib.Path(one).name) if one.endswith(".py") else one for one in config["args"]]
        self.server = subprocess.Popen([config["command"], "-B", *arguments], env={**os.environ, **config["env"], **ENVIRONMENT, **environment},
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8")
        self.number = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.stdin.close()
        expect(self.server.wait(10) == 0, f"the server ended with {self.server.returncode} when its input did")

    def send(self, line):
        self.server.stdin.write(line + "\n")
        self.server.stdin.flush()

    def answer(self):
        return json.loads(self.server.stdout.readline())

    def ask(self, method, **params):
        """Sends one request, and returns its answer."""
        self.number += 1
        self.send(json.dumps({"jsonrpc": "2.0", "id": self.number, "method": method, "params": params}))
        said = self.answer()
        expect(said["jsonrpc"] == "2.0" and said["id"] == self.number, f"{method} was answered with {said}")
        return said

    def use(self, tool, wrong=False, **arguments):
        """Returns the text of a tool's result."""
        result = self.ask("tools/call", name=tool, arguments=arguments)["result"]
        expect(result["isError"] is wrong, f"{tool} said {result}")
        return result["content"][0]["text"]

    def greet(self, version="2025-06-18"):
        said = self.ask("initialize", protocolVersion=version, capabilities={}, clientInfo={"name": "test", "version": "1"})["result"]
        self.send(json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}))
        return said


def the_mcp_server():
    with Assistant() as assistant:
        said = assistant.greet()
        expect(said["protocolVersion"] == "2025-06-18" and "tools" in said["capabilities"] and said["serverInfo"]["name"] == "nexus", f"initialize gave {said}")
        tools = {one["name"]: one for one in assistant.ask("tools/list")["result"]["tools"]}
        expect(set(tools) == {"remember", "recall", "recent", "forget"}, f"the tools are {set(tools)}")
        expect(all(one["description"] and one["inputSchema"]["type"] == "object" for one in tools.values()), "a tool has no description or schema")
        expect(assistant.ask("ping")["result"] == {}, "ping")

        expect("Nothing" in assistant.use("recall", query="lemon trees", tags=["nobody has this"]), "something was found in nothing")
        episode = assistant.use("remember", content="Planté tres limoneros detrás de la casa 🍋", tags=["jardín"]).split()[-1].rstrip(".")
        for found in (assistant.use("recall", query="limoneros", tags=["jardín"]), assistant.use("recent", limit=1)):
            expect(episode in found and "🍋" in found and "#jardín" in found, f"found {found!r}")
        assistant.use("forget", episode_id=episode)
        expect(episode not in assistant.use("recent"), "it is there after forget")

        # The server reports errors, and goes on.
        expect("episode" in assistant.use("forget", wrong=True, episode_id=episode).lower(), "forgetting it twice is not reported")
        expect("content" in assistant.use("remember", wrong=True), "what is missing is not named")
        expect("limit" in assistant.use("recall", wrong=True, query="x", limit=1000), "a wrong limit is not named")
        expect(assistant.ask("tools/call", name="dance")["error"]["code"] == -32602, "a tool that is not there")
        expect(assistant.ask("resources/list")["error"]["code"] == -32601, "a method that is not there")
        assistant.send("this is no JSON")
        expect(assistant.answer()["error"]["code"] == -32700, "a line that is no JSON")
        expect("jsonrpc" in assistant.ask("ping"), "it does not go on after an error")
    with Assistant(NEXUS_URL="http://127.0.0.1:9") as assistant:
        expect(assistant.greet("1999-01-01")["protocolVersion"] != "1999-01-01", "a version that never was is agreed to")
        expect("does not answer" in assistant.use("recent", wrong=True), "that NEXUS is away is not reported")


if __name__ == "__main__":
    the_client()
    the_mcp_server()
    print("the client and the MCP server work as they are")
