#!/usr/bin/env python3
"""Promise: every wrong request gets a clear answer: JSON with a code, a sentence, the right status and the name of the wrong field; never
a 500, never half a row. Unusual but valid input (emoji, 1 MB of text) comes back unchanged."""

import json
import uuid

from client import Client, as_owner, expect

NUMBERS = [0.1] * 384
DEEP = b'{"action_type": "note", "action_details": {"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}"


def action(**changes):
    """Returns the body of an insert, with changes."""
    return {"action_type": "note", "action_details": {"content": "x"}, **changes}


def search(**changes):
    """Returns the body of a search, with changes."""
    return {"query": "x", **changes}


NOBODY = str(uuid.UUID(int=0))

# Each request, the valid statuses, and the field to be named (None: no single field is wrong).
WRONG = [
    # ---- Not JSON, not an object, or a false content type
    ("no body", "POST", "/memory/action", None, {400, 411, 415, 422}, None),
    ("not JSON", "POST", "/memory/action", b"{", {400}, None),
    ("two objects", "POST", "/memory/action", b"{}{}", {400}, None),
    ("a list", "POST", "/memory/action", [1], {400, 422}, None),
    ("not UTF-8", "POST", "/memory/action", b'{"action_type": "\xff\xfe"}', {400}, None),
    ("half a surrogate", "POST", "/memory/action", b'{"action_type": "\\ud800", "action_details": {}}', {400, 422}, None),
    ("deep JSON", "POST", "/memory/action", DEEP, {400, 413, 422}, None),
    ("deep JSON in a search", "POST", "/memory/search", b'{"query": ' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"}", {400, 413, 422}, None),
    ("NaN", "POST", "/memory/action", b'{"action_type": "note", "action_details": {"importance_score": NaN}}', {400, 422}, None),
    ("a number beyond any", "POST", "/memory/search", b'{"query": "x", "min_similarity": 1e999}', {400, 422}, None),
    # ---- Fields
    ("no type", "POST", "/memory/action", {"action_details": {"content": "x"}}, {422}, "action_type"),
    ("a type that is a number", "POST", "/memory/action", action(action_type=1), {422}, "action_type"),
    ("an empty type", "POST", "/memory/action", action(action_type=""), {422}, "action_type"),
    ("details that are text", "POST", "/memory/action", action(action_details="x"), {422}, "action_details"),
    ("content that is a number", "POST", "/memory/action", action(action_details={"content": 7}), {422}, "content"),
    ("NUL in content", "POST", "/memory/action", action(action_details={"content": "a\0b"}), {422}, "content"),
    ("NUL in details", "POST", "/memory/action", action(action_details={"content": "a", "more": {"b": "\0"}}), {422}, "more"),
    ("NUL in a tag", "POST", "/memory/action", action(tags=["a\0"]), {422}, "tags"),
    ("NUL in a query", "POST", "/memory/search", search(query="a\0b"), {422}, "query"),
    ("importance above 1", "POST", "/memory/action", action(action_details={"content": "x", "importance_score": 1.01}), {422}, "importance_score"),
    ("importance as text", "POST", "/memory/action", action(action_details={"content": "x", "importance_score": "high"}), {422}, "importance_score"),
    ("tags that are text", "POST", "/memory/action", action(tags="x"), {422}, "tags"),
    ("a tag that is a number", "POST", "/memory/action", action(tags=["a", 2]), {422}, "tags"),
    ("context that is a list", "POST", "/memory/action", action(context_state=[]), {422}, "context_state"),
    ("383 numbers", "POST", "/memory/search", search(embedding=NUMBERS[1:]), {422}, "embedding"),
    ("385 numbers", "POST", "/memory/search", search(embedding=[*NUMBERS, 1]), {422}, "embedding"),
    ("a vector of text", "POST", "/memory/search", search(embedding=["x"] * 384), {422}, "embedding"),
    ("a vector of nothing", "POST", "/memory/search", search(embedding=[0] * 384), {422}, "embedding"),
    ("a vector with NaN", "POST", "/memory/search", json.dumps(search(embedding=[float("nan"), *NUMBERS[1:]])).encode(), {400, 422}, None),
    ("a vector with null", "POST", "/memory/search", search(embedding=[None, *NUMBERS[1:]]), {422}, "embedding"),
    ("a number too large for a vector", "POST", "/memory/search", search(embedding=[1e300, *NUMBERS[1:]]), {422}, "embedding"),
    ("no query", "POST", "/memory/search", {}, {422}, "query"),
    ("limit 0", "POST", "/memory/search", search(limit=0), {422}, "limit"),
    ("a negative limit", "POST", "/memory/search", search(limit=-1), {422}, "limit"),
    ("limit 101", "POST", "/memory/search", search(limit=101), {422}, "limit"),
    ("a huge limit", "POST", "/memory/search", search(limit=10**30), {422}, "limit"),
    ("half a limit", "POST", "/memory/search", search(limit=1.5), {422}, "limit"),
    ("similarity 2", "POST", "/memory/search", search(min_similarity=2), {422}, "min_similarity"),
    ("an unknown mode", "POST", "/memory/search", search(mode="telepathy"), {422}, "mode"),
    ("a time that is none", "POST", "/memory/search", search(since="yesterday-ish"), {422}, "since"),
    ("no time", "POST", "/memory/temporal/before", {"limit": 3}, {422}, "timestamp"),
    ("the 30th of February", "POST", "/memory/temporal/after", {"timestamp": "2026-02-30T00:00:00Z"}, {422}, "timestamp"),
    ("no end", "POST", "/memory/temporal/range", {"start": "2026-01-01T00:00:00Z"}, {422}, "end"),
    ("limit of a list", "GET", "/memory/episodic/recent?limit=abc", None, {422, 400}, "limit"),
    ("limit of a list, huge", "GET", "/memory/episodic/recent?limit=99999999999999999999", None, {422, 400}, "limit"),
    ("an id that is none", "GET", "/memory/episode/not-an-id", None, {404, 422}, None),
    ("an id that nobody has", "GET", f"/memory/episode/{NOBODY}", None, {404}, None),
    ("an id that nobody has, to be removed", "DELETE", f"/memory/episode/{NOBODY}", None, {404}, None),
    ("a weight that is none", "POST", f"/memory/working/add?episode_id={NOBODY}&attention_weight=heavy", None, {400, 422, 404}, None),
    ("no id for working memory", "POST", "/memory/working/add", None, {400, 422}, "episode_id"),
    ("a batch of nothing", "POST", "/memory/batch", {"actions": []}, {422}, "actions"),
    ("a batch with one that is wrong", "POST", "/memory/batch", {"actions": [action(), action(tags=3)]}, {422}, "actions[1].tags"),
    ("an import that is no JSON", "POST", "/memory/import", b"this is no line of an export\n", {400, 422}, None),
    # ---- Unknown paths
    ("no such place", "GET", "/memory/elsewhere", None, {404}, None),
    ("no such place, above", "GET", "/../etc/passwd", None, {400, 404}, None),
    ("another method", "PUT", "/memory/search", search(), {405}, None),
    ("another method, to be removed", "DELETE", "/memory/search", None, {405}, None),
]

HEADERS = [
    ("an agent that is empty", {"X-Nexus-Agent": ""}, {400, 422}),
    ("an agent too long", {"X-Nexus-Agent": "a" * 10_000}, {400, 422, 431}),
    ("an agent that is no text", {"X-Nexus-Agent": "a\xff\xfeb"}, {400, 422}),
    ("a key too long", {"Idempotency-Key": "k" * 10_000}, {400, 422, 431}),
    ("a body that is said to be a form", {"Content-Type": "application/x-www-form-urlencoded"}, {200, 415}),
]

TEXTS = ["🧠🇪🇸👩‍👩‍👧 emoji", "ñandú ÁÉÍ \u200f\u202eright to left", "quotes '\" \\ $1 ; DROP TABLE x; -- %s {} \r\n\t", "\ufeff\ufffe\uffff", "a" * 1_000_000, "word " * 200_000]


def clear(name, answer, statuses, field):
    """Fails unless the answer says what is wrong."""
    expect(answer.status in statuses, f"{name}: {answer} instead of {sorted(statuses)}")
    if answer.status == 200:
        return
    expect(answer.headers.get_content_type() == "application/json", f"{name}: the answer is {answer.headers['Content-Type']}: {answer}")
    said = answer.json()
    expect(isinstance(said.get("code"), str) and isinstance(said.get("message"), str) and said["message"], f"{name}: no code or sentence in {said}")
    expect(field is None or field in str(said.get("field")), f"{name}: the field named is {said.get('field')}, not {field}: {said}")
    expect(len(answer.body) < 2000, f"{name}: an error of {len(answer.body)} bytes")


def main():
    agent = f"inputs-{uuid.uuid4().hex[:8]}"
    # A connection for each request, because a refusal may close it.
    client = Client(agent, kept=False)
    rows = f"SELECT count(*) FROM nexus_memory.zep_episodic_memory WHERE agent_id = '{agent}'"
    for name, method, path, body, statuses, field in WRONG:
        answer = client.call(method, path, raw=body) if isinstance(body, bytes) else client.call(method, path, body)
        clear(name, answer, statuses, field)
        expect(as_owner(rows) == [["0"]] or answer.status == 200, f"{name}: refused, and yet a row is there")
    for name, headers, statuses in HEADERS:
        raw = json.dumps(action()).encode()
        clear(name, client.call("POST", "/memory/action", raw=raw, headers=headers), statuses, None)

    for text in TEXTS:
        episode = client.remember(text, tags=["🧠", "ñ"])
        got = client.get(f"/memory/episode/{episode}").json()
        got = got.get("episode", got)
        expect(got["content"] == text and got["tags"] == ["🧠", "ñ"], f"{text[:40]!r} came back as {got['content'][:40]!r}, {got['tags']}")
        exported = [json.loads(line) for line in client.get("/memory/export").body.splitlines()]
        expect(text in [one["content"] for one in exported], f"{text[:40]!r} is not in the export as it was")
    for agent in ("ñandú", "a'; DROP TABLE x; --", "a b", "%", "*", "a:b"):
        # Careless programs send UTF-8 in a header.
        odd = Client(agent.encode().decode("latin-1"))
        answer = odd.post("/memory/action", action())
        clear(f"the agent {agent}", answer, {200, 400, 422}, None)
        if answer.status == 200:
            expect(odd.get("/stats").json()["stats"]["total_episodes"] >= 1, f"the agent {agent} does not see its own")
            expect(odd.get("/memory/episodic/recent").json()["count"] >= 1, f"the agent {agent} does not see its own")
    print(f"{len(WRONG) + len(HEADERS)} wrong requests, each refused clearly")


if __name__ == "__main__":
    main()
