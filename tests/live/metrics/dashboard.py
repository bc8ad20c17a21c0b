"""Checks that the dashboard's files fit together, and that each of its queries has a result.

usage: dashboard.py files DIRECTORY COMPOSE_FILE
       dashboard.py answers DIRECTORY PROMETHEUS
"""

import json
import os
import re
import sys
import time
import urllib.parse
import urllib.request

# With a scrape every 30 seconds, a rate has its two samples after a minute.
PATIENCE = 150


def dashboard(directory):
    with open(f"{directory}/provisioning/dashboards/nexus.json", encoding="utf-8") as file:
        return json.load(file)


def text(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def require(condition, why):
    if not condition:
        sys.exit(why)


def files(directory, compose):
    """Fails on what Grafana would refuse or show empty, as far as that is visible without Grafana."""
    source = text(f"{directory}/provisioning/datasources/prometheus.yml")
    uid = re.search(r"^ *uid: (\S+)$", source, re.M)[1]
    address = re.search(r"http://(127\.0\.0\.1:\d+)$", source, re.M)[1]
    require(f"--web.listen-address={address}\n" in text(compose), f"nobody listens at the data source's {address}")
    # Grafana cannot run here, so only its settings are checked.
    for setting in "domain = 127.0.0.1", "enforce_domain = true", "cookie_samesite = strict":
        require(f"\n{setting}\n" in text(f"{directory}/grafana.ini"), f"grafana.ini lacks {setting}")
    require("\n[metrics]\nenabled = false\n" in text(f"{directory}/grafana.ini"), "Grafana tells its figures to everybody")
    panels = dashboard(directory)["panels"]
    require(len({panel["id"] for panel in panels}) == len(panels), "two panels have one id")
    taken = set()
    for panel in panels:
        place, title = panel["gridPos"], panel["title"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        require(max(x for x, _ in cells) < 24 and not cells & taken, f"{title} lies over another panel, or beside the board")
        taken |= cells
        refs = [target["refId"] for target in panel["targets"]]
        require(refs and len(set(refs)) == len(refs), f"{title} asks nothing, or two questions by one name")
        require({target["datasource"]["uid"] for target in panel["targets"]} == {uid}, f"{title} asks another data source")
    home = re.search(r"^default_home_dashboard_path = /etc/grafana/(\S+)$", text(f"{directory}/grafana.ini"), re.M)[1]
    require(os.path.exists(f"{directory}/{home}"), f"there is no {home}, with which Grafana is to begin")
    secret = re.search(r"^admin_password = \$__file\{/run/secrets/(\w+)\}$", text(f"{directory}/grafana.ini"), re.M)[1]
    require(f"secrets: [{secret}]" in text(compose), f"no service is given the secret {secret}")


def answer(prometheus, question):
    query = urllib.parse.urlencode({"query": question})
    with urllib.request.urlopen(f"{prometheus}/api/v1/query?{query}", timeout=10) as said:
        return json.load(said)["data"]["result"]


def answers(directory, prometheus):
    """Each query must return data; those about nexus-api only if it is installed, but they must be valid everywhere."""
    questions = {target["expr"] for panel in dashboard(directory)["panels"] for target in panel["targets"]}
    has_api = os.path.exists("/usr/local/lib/systemd/system/nexus-api.socket")
    unanswered = {question for question in questions if has_api or "nexus_api_" not in question}
    end = time.monotonic() + PATIENCE
    while unanswered and time.monotonic() < end:
        unanswered = {question for question in unanswered if not answer(prometheus, question)}
        time.sleep(1 if unanswered else 0)
    require(not unanswered, f"no answer to: {'; '.join(sorted(unanswered))}")
    for question in questions:
        answer(prometheus, question)


{"files": files, "answers": answers}[sys.argv[1]](*sys.argv[2:])
