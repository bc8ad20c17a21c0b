#!/usr/bin/env bash
# Promise: a unit reaches only the sockets that it needs. Tests each from inside the unit's own sandbox, in an installed machine.
set -euo pipefail
shopt -s inherit_errexit
here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source-path=SCRIPTDIR source=../live/checks.sh
. "$here/../live/checks.sh"

work=/run/probe-of-sockets
probe='probe-of-sockets.service'
trap 'rm -rf "$work" "/run/systemd/system/$probe"; systemctl daemon-reload' EXIT
install -d "$work"

# A stream socket refuses a datagram socket (EPROTOTYPE) only after the kernel has checked the permissions. So the probe needs no
# connection, and no server answers.
cat >"$work/probe.py" <<'PYTHON'
import errno, os, socket
reached = []
for name in ("api.sock", "embed.sock", "purge.sock", "docker.sock", "proxy/api.sock", "postgres/.s.PGSQL.5432", "redis/redis.sock"):
    try:
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).connect(f"/run/nexus/{name}")
    except OSError as error:
        if error.errno == errno.EPROTOTYPE:
            reached.append(name.replace("/api.sock", "").split("/")[0].removesuffix(".sock"))
if os.access("/run/nexus/scratch", os.R_OK | os.X_OK):
    reached.append("scratch")
print(" ".join(reached))
PYTHON

# reaches UNIT SOCKET…: whether a unit with the same sandbox and user reaches exactly these sockets.
reaches() {
	local unit=$1
	shift
	{
		printf '[Unit]\nStartLimitIntervalSec=0\n'
		systemctl cat "$unit" | awk '
			/^\[/ { service = $0 == "[Service]"; if (service) print; next }
			service && !/^(Exec|Type|Restart|Watchdog|Sockets|Standard|Timeout|NotifyAccess|LogLevelMax|RemainAfterExit|SuccessExitStatus)/'
		printf 'Type=oneshot\nExecStart=/usr/bin/python3 -I %s/probe.py\nStandardOutput=truncate:%s/reached\n' "$work" "$work"
	} >"/run/systemd/system/$probe"
	systemctl daemon-reload
	rm -f "$work/reached"
	systemctl start "$probe"
	same "the sockets that $unit reaches" "$(<"$work/reached")" "$*"
}

listens() { systemctl is-active --quiet nexus-{api,embed,purge,docker}.socket && [[ -S /run/nexus/postgres/.s.PGSQL.5432 && -S /run/nexus/redis/redis.sock ]]; }

every_unit_is_in_the_list() {
	same "units" "$(cd "$here/../../units" && printf '%s\n' *.service | sort)" "$(cut -d' ' -f1 <<<"$list" | sort)"
}

# The servers' own sockets are open to every user who may enter /run/nexus, such as root, as whom the units stack, metrics, proxy and
# tailscale start containers.
list='nexus-alert-health.service
nexus-alert-over@.service
nexus-alert-programs.service
nexus-alert-retry.service
nexus-alert-test.service
nexus-alert@.service
nexus-api.service api embed purge postgres redis
nexus-backup.service docker postgres redis
nexus-docker@.service
nexus-embed-backfill.service embed postgres
nexus-embed.service
nexus-heal-stack.service postgres redis
nexus-health-ports.service
nexus-health.service api docker postgres redis
nexus-metrics.service postgres redis
nexus-proxy.service postgres redis
nexus-purge.service postgres redis
nexus-purge@.service postgres redis
nexus-remote-note.service
nexus-restore-test.service docker scratch
nexus-stack-revive.service postgres redis
nexus-stack.service postgres redis
nexus-tailscale.service postgres redis'

await 60 listens
check every_unit_is_in_the_list
while read -r unit sockets; do
	# shellcheck disable=SC2086 # several words
	check reaches "${unit/@./@x.}" $sockets
done <<<"$list"
report
