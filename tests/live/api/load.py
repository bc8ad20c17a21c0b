"""Several clients that store and search at once, and record every acknowledgement: for tests that kill or restart servers."""

import random
import threading
import time
import uuid

from client import Client, Cut, as_owner, expect

# Valid statuses while a part is down: too many requests, unavailable, timeout.
CLEAN = {429, 503, 504}
WORDS = ["harbour", "lantern", "puerto", "canción", "winter", "invierno", "copper", "granite", "paper", "river"]


class Load:
    """Clients of one agent; `with Load(…)` starts and ends them. Every second one opens a new connection for each request."""

    def __init__(self, clients, rng, patience=240):
        self.agent = f"load-{uuid.uuid4().hex[:12]}"
        self.patience = patience
        self.ending = threading.Event()
        self.lock = threading.Lock()
        # Acknowledged contents by id; contents that were sent without a key and not acknowledged.
        self.stored, self.unsure = {}, set()
        self.errors, self.cuts, self.failures, self.done = {}, [], [], 0
        self.threads = [threading.Thread(target=self.work, args=(number, random.Random(rng.random()))) for number in range(clients)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        for thread in self.threads:
            thread.join()

    def work(self, number, rng):
        client = Client(self.agent, ("127.0.0.1", 8003) if number % 4 < 2 else "/run/nexus/api.sock", kept=number % 2 == 0)
        try:
            while not self.ending.is_set():
                rng.choices([self.insert, self.insert_without_key, self.search, self.recent], [6, 1, 2, 2])[0](client, rng)
                with self.lock:
                    self.done += 1
        except Exception as cause:  # noqa: BLE001 (check() raises it)
            self.failures.append(cause)
            self.ending.set()

    def ask(self, client, *request):
        """Sends one request; returns the answer, or None and a record if it was cut or refused."""
        try:
            answer = client.call(*request)
        except Cut as cut:
            with self.lock:
                self.cuts.append((time.monotonic(), cut))
            answer = self.after_cut(cut, client, *request)
        if answer is None or answer.status == 200:
            return answer
        expect(answer.status in CLEAN, f"{request[:2]} was answered with {answer}")
        said = answer.json()
        expect(isinstance(said.get("code"), str) and isinstance(said.get("message"), str), f"{request[:2]}: no code or sentence in {answer}")
        expect(answer.status != 503 or int(answer.headers["Retry-After"]) >= 1, f"{request[:2]}: 503 without Retry-After")
        with self.lock:
            self.errors[(answer.status, said["code"])] = self.errors.get((answer.status, said["code"]), 0) + 1
        return None

    def after_cut(self, _cut, _client, *_request):
        """Does nothing; a subclass may."""
        return

    def content(self, rng):
        return f"{' '.join(rng.sample(WORDS, 3))} {rng.getrandbits(64):016x}"

    def insert(self, client, rng):
        """Inserts until it is acknowledged, with a key that makes retries safe."""
        content, key, end = self.content(rng), f"{rng.getrandbits(96):024x}", time.monotonic() + self.patience
        body = {"action_type": "load", "action_details": {"content": content}, "tags": ["load"]}
        wait = 0.05
        while not (answer := self.ask(client, "POST", "/memory/action", body, {"Idempotency-Key": key})):
            expect(time.monotonic() < end, f"an insert did not succeed within {self.patience} seconds")
            # A well-behaved client waits a little longer before each retry.
            time.sleep(wait)
            wait = min(1, wait * 2)
        with self.lock:
            expect(answer.json()["episode_id"] not in self.stored, "two inserts got one id")
            self.stored[answer.json()["episode_id"]] = content

    def insert_without_key(self, client, rng):
        """Inserts once. Without an acknowledgement the row may exist, but never twice."""
        content = self.content(rng)
        answer = self.ask(client, "POST", "/memory/action", {"action_type": "load", "action_details": {"content": content}})
        with self.lock:
            if answer:
                self.stored[answer.json()["episode_id"]] = content
            else:
                self.unsure.add(content)

    def search(self, client, rng):
        answer = self.ask(client, "POST", "/memory/search", {"query": " ".join(rng.sample(WORDS, 2)), "min_similarity": 0, "mode": rng.choice(["hybrid", "text"])})
        expect(answer is None or answer.json()["success"], f"a search was answered with {answer}")

    def recent(self, client, rng):
        answer = self.ask(client, "GET", f"/memory/episodic/recent?limit={rng.randint(1, 20)}", None)
        expect(answer is None or answer.json()["success"], f"recent was answered with {answer}")

    # ---- For tests that kill

    def go_on(self, requests, seconds=180):
        """Waits until so many more requests have succeeded."""
        self.until(self.done + requests, lambda: self.done, seconds, f"{requests} more requests")

    def until(self, wanted, count, seconds, what):
        """Waits until count() has reached `wanted`."""
        end = time.monotonic() + seconds
        while count() < wanted:
            self.check()
            expect(time.monotonic() < end, f"not within {seconds} seconds: {what}")
            time.sleep(0.02)

    def check(self):
        """Raises the first failure of a client."""
        if self.failures:
            raise self.failures[0]

    def exact(self):
        """Requires that the database has every acknowledged insert exactly once, under its id, and nothing else."""
        self.check()
        rows = as_owner(f"SELECT episode_id, content FROM nexus_memory.zep_episodic_memory WHERE agent_id = '{self.agent}'")
        there = dict(rows)
        lost = [content for episode, content in self.stored.items() if there.get(episode) != content]
        expect(not lost, f"{len(lost)} of {len(self.stored)} acknowledged inserts are not there: {lost[:3]}")
        more = [content for episode, content in rows if episode not in self.stored]
        expect(len(set(more)) == len(more) and set(more) <= self.unsure, f"rows are there twice, or were never sent: {more[:3]}")
        return len(self.stored), len(more)
