#!/usr/bin/env python3
"""Promise: an agent never sees, changes or removes episodes of another, by any call, nor through a cache.

Two agents make random calls at the same time; each knows every id and word of the other: usage isolation.py [CALLS].
"""

import json
import random
import re
import sys
import threading
import time
import uuid

from client import Client, as_owner, expect, seed

# Words that both use, so that each search could find the other's rows; and a word that only one of them uses.
WORDS = ["harbour", "lantern", "puerto", "canción", "winter", "invierno", "copper", "granite", "paper", "river"]
IDS = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SECRET = {"ana": "zafiroana", "ben": "obsidianben"}


class Agent:
    """One agent's calls, and the episodes that it has stored."""

    def __init__(self, name, run, rng):
        self.name = name
        self.agent = f"{name}-{run}"
        self.rng = rng
        # Its episodes, those stored with a key, removed ones, and ids of others that it has put into its working memory.
        self.own, self.keyed, self.gone, self.typed = {}, {}, set(), set()
        self.other = None
        self.client = Client(self.agent)

    def ask(self, method, path, body=None):
        """Sends one idempotent request, until the server is not too busy for it."""
        end = time.monotonic() + 60
        while (answer := self.client.call(method, path, body)).status == 503 and time.monotonic() < end:
            expect(answer.headers["Retry-After"], f"{method} {path}: 503 without Retry-After")
            time.sleep(0.1)
        return answer

    def check(self, answer, sent=""):
        """Fails if the answer contains anything of the other except what was sent; returns the answer as JSON."""
        expect(answer.status < 500, f"{self.name} got {answer}")
        text = answer.body.decode()
        if answer.headers.get_content_type() == "application/json":
            said = json.loads(text)
            # The answer repeats the query.
            if isinstance(said, dict):
                said.pop("query", None)
                if answer.status >= 400:
                    text = json.dumps(said).replace(sent, "") if sent else text
                else:
                    text = json.dumps(said, ensure_ascii=False)
        else:
            said = [json.loads(line) for line in text.splitlines()]
        expect(SECRET[self.other.name] not in text, f"{self.name} was shown words of {self.other.name}: {text[:300]}")
        shown = {episode for episode in IDS.findall(text) if episode in self.other.own} - self.typed - {sent}
        expect(not shown, f"{self.name} was shown {self.other.name}'s episodes {shown}: {text[:300]}")
        return said

    def text(self):
        """Returns a random text."""
        return f"{SECRET[self.name]} {' '.join(self.rng.sample(WORDS, 3))} {self.rng.getrandbits(48):012x}"

    def pick(self):
        """Returns an episode of its own without a key, or None."""
        return self.rng.choice(sorted(set(self.own) - set(self.keyed.values())) or [None])

    def theirs(self):
        """Returns the id of another's episode, or one that does not exist."""
        return self.rng.choice(sorted(self.other.own) or [str(uuid.uuid4())])

    # ---- The calls

    def insert(self):
        content = self.text()
        said = self.check(self.client.post("/memory/action", {"action_type": "note", "action_details": {"content": content}, "tags": ["shared", self.name]}))
        expect(said["episode_id"] not in self.other.own, "an insert got the id of another's episode")
        self.own[said["episode_id"]] = content
        first = self.check(self.client.get("/memory/episodic/recent?limit=3"))["episodes"][0]
        expect(first["episode_id"] == said["episode_id"], f"the newest of {self.name} is {first}, not what it has just stored")

    def insert_with_a_key(self):
        number = self.rng.randrange(12)
        content = f"{SECRET[self.name]} keyed {number}"
        body = {"action_type": "note", "action_details": {"content": content}}
        said = self.check(self.client.post("/memory/action", body, headers={"Idempotency-Key": f"shared-key-{number}"}))
        before = self.keyed.setdefault(number, said["episode_id"])
        expect(said["episode_id"] == before, f"the same key gave {said['episode_id']} and before {before}")
        self.own[before] = content

    def batch(self):
        texts = [self.text() for _ in range(self.rng.randint(1, 4))]
        answer = self.client.post("/memory/batch", {"actions": [{"action_type": "note", "action_details": {"content": text}, "tags": ["shared"]} for text in texts]})
        said = self.check(answer)
        ids = said["episode_ids"]
        expect(len(ids) == len(texts), f"a batch of {len(texts)} gave {answer}")
        self.own.update(zip(ids, texts))

    def recent(self):
        limit = self.rng.randint(1, 100)
        said = self.check(self.client.get(f"/memory/episodic/recent?limit={limit}"))
        expect(said["count"] == min(limit, len(self.own)), f"{self.name} has {len(self.own)} episodes and sees {said['count']} with limit {limit}")

    def search(self):
        mode = self.rng.choice(["hybrid", "vector", "text"])
        query = self.rng.choice([*WORDS, SECRET[self.other.name], SECRET[self.name], *list(self.other.own.values())[-3:]])
        body = {"query": query, "limit": self.rng.randint(1, 100), "min_similarity": self.rng.choice([0, 0.2, 0.5]), "mode": mode}
        if self.rng.random() < 0.3:
            body["tags"] = self.rng.choice([["shared"], [self.other.name]])
        if self.rng.random() < 0.5:
            body["embedding"] = [self.rng.gauss(0, 1) for _ in range(384)]
        said = self.check(self.ask("POST", "/memory/search", body))
        if "results" in said:
            expect({one["episode_id"] for one in said["results"]} <= set(self.own), f"{self.name} found what it has not stored")

    def search_of_its_own(self):
        episode = self.pick()
        if episode:
            word = self.own[episode].split()[-1]
            said = self.check(self.client.post("/memory/search", {"query": word, "mode": "text", "min_similarity": 0}))
            expect(episode in [one["episode_id"] for one in said["results"]], f"{self.name} does not find its own {word}: {said}")

    def temporal(self):
        kind = self.rng.choice(["before", "after", "range"])
        body = {"start": "2000-01-01T00:00:00Z", "end": "2100-01-01T00:00:00Z"} if kind == "range" else {"timestamp": "2100-01-01T00:00:00Z" if kind == "before" else "2000-01-01T00:00:00Z"}
        said = self.check(self.client.post(f"/memory/temporal/{kind}", {**body, "limit": 100}))
        expect(said["count"] == min(100, len(self.own)), f"{self.name} has {len(self.own)} episodes and {kind} gives {said['count']}")

    def stats(self):
        said = self.check(self.client.get("/stats"))
        expect(said["stats"]["total_episodes"] == len(self.own), f"{self.name} has {len(self.own)} episodes and stats say {said['stats']}")

    def export(self):
        said = self.check(self.client.get("/memory/export"))
        expect({one["episode_id"] for one in said if "episode_id" in one} == set(self.own), f"the export of {self.name} is not what it has stored")

    def get(self):
        self.as_if_it_were_not_there("GET", "/memory/episode/{}")
        episode = self.pick()
        if episode:
            said = self.check(self.client.get(f"/memory/episode/{episode}"))
            expect(self.own[episode] in json.dumps(said, ensure_ascii=False), f"{self.name} asked for {episode} and got {said}")

    def delete(self):
        self.as_if_it_were_not_there("DELETE", "/memory/episode/{}")
        episode = self.pick()
        if episode:
            self.check(self.ask("DELETE", f"/memory/episode/{episode}"), episode)
            self.gone.add(episode)
            del self.own[episode]
            expect(self.client.get(f"/memory/episode/{episode}").status == 404, "an episode is there after its DELETE")

    def working(self):
        self.as_if_it_were_not_there("POST", "/memory/working/add?episode_id={}")
        episode = self.pick()
        if episode:
            self.check(self.client.post(f"/memory/working/add?episode_id={episode}", ["shared"]), episode)
        items = self.check(self.client.get("/memory/working/items"))["items"]
        expect({one["episode_id"] for one in items} <= set(self.own) | self.typed | self.gone, f"working memory of {self.name} holds {items}")
        self.check(self.client.get("/memory/working/stats"))
        if self.rng.random() < 0.2:
            self.check(self.client.post("/memory/working/clear"))

    def as_if_it_were_not_there(self, method, path):
        """The answer about another's episode must equal that about one that does not exist."""
        theirs, nobodys = self.theirs(), str(uuid.uuid4())
        if "working" in path:
            self.typed |= {theirs, nobodys}
        answers = [self.ask(method, path.format(which)) for which in (theirs, nobodys)]
        said = [self.check(answer, which) for answer, which in zip(answers, (theirs, nobodys))]
        expect(answers[0].status == answers[1].status, f"{method} {path} tells {self.name} that there is an episode of another: {answers}")
        expect(set(said[0]) == set(said[1]), f"{method} {path} answers otherwise for another's episode: {answers}")

    CALLS = {insert: 22, insert_with_a_key: 8, batch: 6, recent: 10, search: 22, search_of_its_own: 6, temporal: 8, stats: 6, export: 3, get: 5, delete: 3, working: 6}

    def run(self, calls, failures):
        """Makes so many calls; stops at the first failure."""
        try:
            for call in self.rng.choices(list(self.CALLS), self.CALLS.values(), k=calls):
                call(self)
        except Exception as cause:  # noqa: BLE001 (reported below, with its place)
            failures.append(cause)


def digest(agent):
    """Returns a digest of all rows of an agent."""
    return as_owner(f"SELECT count(*), md5(coalesce(string_agg(t::text, '' ORDER BY episode_id), '')) FROM (SELECT episode_id, agent_id, content, tags, importance_score FROM nexus_memory.zep_episodic_memory WHERE agent_id = '{agent}') t")


def imported_rows_stay_ones_own(ana, ben):
    """When ben imports ana's export, the rows become his or are refused; hers must not change."""
    before = digest(ana.agent)
    lines = ana.client.get("/memory/export").body
    changed = lines.replace(SECRET["ana"].encode(), b"written over")
    for body in (lines, changed):
        answer = ben.client.call("POST", "/memory/import", raw=body, headers={"Content-Type": "application/x-ndjson"})
        expect(answer.status < 500, f"an import of another's export gave {answer}")
        expect(digest(ana.agent) == before, f"an import by ben changed ana's episodes ({answer})")


def main():
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    rng = random.Random(seed())
    run = f"{rng.getrandbits(32):08x}-{uuid.uuid4().hex[:8]}"
    ana, ben = Agent("ana", run, random.Random(rng.random())), Agent("ben", run, random.Random(rng.random()))
    ana.other, ben.other = ben, ana
    failures = []
    threads = [threading.Thread(target=one.run, args=(calls // 2, failures)) for one in (ana, ben)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    for one in (ana, ben):
        stored = {row[0]: row[1] for row in as_owner(f"SELECT episode_id, content FROM nexus_memory.zep_episodic_memory WHERE agent_id = '{one.agent}'")}
        expect(stored == one.own, f"the database does not hold what {one.name} knows that it has stored")
        expect(len(stored) > calls // 20, f"only {len(stored)} episodes of {one.name} were left to be seen by the other")
    imported_rows_stay_ones_own(ana, ben)
    print(f"{calls} calls, {len(ana.own)} and {len(ben.own)} episodes, none seen by the other")


if __name__ == "__main__":
    main()
