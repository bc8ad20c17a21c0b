# Tests what a removal removes, and that the owner's key leaves no trace.
# shellcheck shell=bash disable=SC2154 # clone, owner and work are those of tests/live/install.sh

removed_and_taken_up_again() {
	as_program --command="INSERT INTO nexus_memory.zep_episodic_memory (content) VALUES ('stays')"
	redis SET stays yes >/dev/null
	exits 0 "Its data is still here" "$clone/install.sh" --uninstall
	same "containers" "$(docker ps --all --quiet)" ""
	same "files" "$(find /usr/local /etc/systemd -name '*nexus*')" ""
	install_now >/dev/null
	same "units that were on" "$(systemctl is-enabled nexus.target nexus-backup.timer | sort -u)" enabled
	same "the row" "$(as_program --command="SELECT content FROM nexus_memory.zep_episodic_memory WHERE content = 'stays'")" stays
	same "the key" "$(redis GET stays)" yes
}

volume_without_its_password() {
	"$clone/install.sh" --uninstall >/dev/null
	mv /etc/nexus "$work/etc"
	exits 78 "not its password" install_now
	rm -rf /etc/nexus
	mv "$work/etc" /etc/nexus
	install_now >/dev/null
	healthy
}

purge_asks() { exits 64 "there is no terminal to ask on" "$clone/install.sh" --uninstall --purge; }
purge() {
	exits 0 "are removed from this machine" "$clone/install.sh" --uninstall --purge --yes
	nothing_is_left
	no_traces_since "$work/traces"
	same "failed units" "$(systemctl --failed --no-legend)" ""
}

nothing_is_left() {
	same "files of NEXUS" "$(find / -xdev -name '*nexus*' -not -path "$clone*" -not -path "$work*" -not -path '/proc/*' -not -path '/var/lib/containerd/*' -not -path '/var/lib/docker/overlay2/*' -not -path '/usr/share/postgresql*' -prune)" ""
	# A refused installation leaves its lock.
	same "in /run" "$(find /run -maxdepth 1 -name 'nexus*' -not -name nexus-locks)" ""
	same "volumes" "$(docker volume ls --quiet --filter name=nexus)" ""
	same "its user and group" "$(getent passwd nexus; getent group nexus || true)" ""
}

# On a terminal, setup shows the owner's key, asks for its end, and stores it nowhere.
shown_once_on_a_terminal() {
	local key
	python3 "$clone/tests/live/answer.py" "$clone/install.sh" --bin-dir "$clone/bin" --model none >"$work/screen"
	key=$(grep -o 'AGE-SECRET-KEY-[0-9A-Z]*' "$work/screen" | sort -u)
	same "keys on the screen" "$(wc -l <<<"$key")" 1
	grep -qxF "$(age-keygen -y - <<<"$key")" /etc/nexus/recipients.txt
	same "where the key is" "$(grep -rlF "$key" /etc /var/lib/nexus /var/log /root /run /tmp --exclude-dir="$(basename "$work")" 2>/dev/null || true)" ""
	same "in the journal" "$(journalctl --no-pager --output=cat | grep -cF "$key" || true)" 0
}
