#!/usr/bin/env python3
"""Promise: without Redis every answer of the API is right, only slower, and /health says degraded. When Redis comes back with its old
content, the API ignores that."""

import subprocess
import time
import uuid

from client import Client, expect


def await_health(redis):
    """Waits until /health reports this state of Redis, and returns the answer."""
    end = time.monotonic() + 60
    while ((said := Client(timeout=10).get("/health").json())["redis"] == "connected") is not redis:
        expect(time.monotonic() < end, f"health still says {said}")
        time.sleep(0.1)
    return said


def texts(client, limit=100):
    """Returns the texts of recent."""
    answer = client.get(f"/memory/episodic/recent?limit={limit}")
    expect(answer.status == 200, f"recent was answered with {answer}")
    return [one["content"] for one in answer.json()["episodes"]]


def found(client, words):
    """Returns the texts that a search by words finds."""
    answer = client.post("/memory/search", {"query": words, "mode": "text"})
    expect(answer.status == 200, f"a search was answered with {answer}")
    return [one["content"] for one in answer.json()["results"]]


def main():
    client = Client(f"redis-down-{uuid.uuid4().hex[:8]}")
    client.remember("before the harbour")
    forgotten = client.remember("to be forgotten")
    # Twice, so that the second answer comes from the cache and says so.
    for limit in (1, 5, 100):
        texts(client, limit)
        expect(client.get(f"/memory/episodic/recent?limit={limit}").json()["cached"], "a list that was just asked for is not cached")

    subprocess.run(["docker", "stop", "--time", "5", "nexus-redis"], check=True, capture_output=True)
    try:
        said = await_health(redis=False)
        expect(said["status"] == "degraded" and said["database"] == "connected", f"health says {said}")
        client.remember("while Redis is down")
        expect(texts(client) == ["while Redis is down", "to be forgotten", "before the harbour"], f"recent shows {texts(client)}")
        # A copy in Redis could not be removed now, so DELETE does nothing, and says so.
        answer = client.delete(f"/memory/episode/{forgotten}")
        expect(answer.status == 503 and answer.headers["Retry-After"], f"DELETE without Redis was answered with {answer}")
        expect("to be forgotten" in texts(client), "it is gone, and DELETE said that it was not")
        expect(found(client, "harbour") == ["before the harbour"], f"a search finds {found(client, 'harbour')}")
        expect(client.post("/memory/search", {"query": "harbour", "min_similarity": 0}).status == 200, "a hybrid search without Redis")
        expect(client.get("/stats").json()["stats"]["total_episodes"] == 3, "stats without Redis")
        key = {"Idempotency-Key": uuid.uuid4().hex}
        expect(client.remember("with a key", headers=key) == client.remember("with a key", headers=key), "a key counts only with Redis")
        # It is only in Redis, so the API can only report that Redis is down.
        answer = client.get("/memory/working/items")
        expect(answer.status == 503 and answer.json()["code"] and answer.headers["Retry-After"], f"working memory was answered with {answer}")
    finally:
        subprocess.run(["docker", "start", "nexus-redis"], check=True, capture_output=True)
    await_health(redis=True)
    everything = ["with a key", "while Redis is down", "to be forgotten", "before the harbour"]
    for limit in (1, 5, 100):
        expect(texts(client, limit) == everything[:limit], f"Redis is back, and recent shows {texts(client, limit)}")
    expect(client.delete(f"/memory/episode/{forgotten}").status == 200, "DELETE when Redis is back")
    expect("to be forgotten" not in texts(client), "it is shown after DELETE")
    expect(client.get("/memory/working/items").status == 200, "working memory does not come back")
    print("right without Redis, and right when it is back")


if __name__ == "__main__":
    main()
