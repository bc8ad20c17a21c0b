"""The faults, by their names in the table (../../matrix.tsv), which also says how a job must end. Each takes the job, the row and the
case, runs the job under the fault, repairs the machine, and returns the outcome."""

from faults import (alerts, clock, damage, disks, forgery, hangup, keys, ledger, locks, media, memory, power, schedule, servers, settings,
                    signals, strangers, syscalls, together, tools, versions, watched)

BY_NAME = {
    "error": syscalls.error,
    "signal-at": syscalls.signal,
    "signal": signals.at_a_moment,
    "limit": memory.limit,
    "server": servers.disturbed,
    "tool": tools.disturbed,
    "tool-lies": tools.lies,
    "medium": media.wrong,
    "disk": disks.broken,
    "directory": disks.directory,
    "power": power.cut,
    "clock": clock.wrong,
    "history": clock.history,
    "damage": damage.done,
    "forgery": forgery.done,
    "key": keys.wrong,
    "version": versions.other,
    "ledger": ledger.wrong,
    "at-once": together.two,
    "webhook": alerts.webhook,
    "queue": alerts.queue,
    "hangs": watched.hangs,
    "docker-hangs": watched.docker_hangs,
    "files": watched.disk,
    "schedule": schedule.others,
    "others": schedule.beside,
    "timeouts": settings.hostile,
    "lock": locks.held,
    "hang-up": hangup.hung_up,
    "databases": strangers.databases,
    "foreign": strangers.files,
    "project": strangers.project,
    "context": strangers.context,
    "none": signals.none,
}

# For faults at the n-th of something: the number of these in a run.
HOW_MANY = {"error": syscalls.how_many, "signal-at": syscalls.how_many, "medium": media.how_many}
