"""Prints ten days of history for nexus-health, in which each directory has grown a little every hour up to its present size."""

import datetime
import json
import os

PLACES = {"database": "/var/lib/docker", "backups": "/var/lib/nexus/backups", "root": "/"}


def in_use(path):
    stat = os.statvfs(path)
    return (stat.f_blocks - stat.f_bfree) * stat.f_frsize


now = datetime.datetime.now(datetime.timezone.utc)
for hour in range(240, 0, -1):
    at = now - datetime.timedelta(hours=hour)
    used = [[name, max(in_use(path) - hour * 1_000_000, 0)] for name, path in PLACES.items()]
    print(json.dumps({"at": at.strftime("%Y-%m-%dT%H:%M:%SZ"), "used": used}))
