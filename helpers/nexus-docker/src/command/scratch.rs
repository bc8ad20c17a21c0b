//! The command lines of throwaway servers. Fields of a request in them are the memory limit and the length of the RDB file (numbers).
//! What docker printed of the live container is in them too: the image's digest, and the directory of the stack's scripts.

use nexus_docker_client::protocol::Service;

use super::argv::Argv;
use super::stack::inspect;
use crate::error::RunError;
use crate::id::is_image_id;

/// The option with which a throwaway server's own programs run: its user and group. No other process of the machine has this
/// number, which is above all that systemd hands out (systemd's UIDS-GIDS). The kernel limits some things per user and for the
/// whole machine, for example the watches of epoll(7), and a set's SQL must not use up what the live servers need.
pub(super) const USER: &str = "--user 1879048999:1879048999";

/// Gives the server's directories to its user, as root without other rights, and becomes that user for good. The first two
/// parameters are the directories, the third is the script to go on with.
const AS_USER: &str = r#"set -e; chown 1879048999 "$1" "$2"; script=$3; shift 3
exec setpriv --reuid=1879048999 --regid=1879048999 --clear-groups sh -c "$script" sh "$@""#;

/// Removes an earlier server's files from the directory of sockets, reports that the container runs, reads the password from the
/// input, starts a process that kills the server at the end of the input, and becomes the server. The container exits with
/// the server.
const POSTGRES: &str = r#"set -e; umask 077; chmod -R u+rwX /var/run/postgresql/.; find /var/run/postgresql -mindepth 1 -delete; echo started
read -r word; printf '%s\n' "$word" >/run/secrets/postgres_password; printf '*:*:*:postgres:%s\n' "$word" >/run/secrets/postgres_pgpass
exec 3<&0; (cat <&3 >/dev/null; kill -KILL $$) & exec bash /nexus/start.sh "$@" </dev/null 3<&-"#;

/// Like [`POSTGRES`], for Redis. The RDB file, whose length is the first parameter, follows the password.
const REDIS: &str = r#"set -e; umask 077; chmod -R u+rwX /run/redis/.; find /run/redis -mindepth 1 -delete; echo started
read -r word; printf 'user default on >%s ~* &* +@all\nuser health on nopass resetkeys resetchannels -@all +ping\n' "$word" >/run/secrets/redis_acl
head -c "$1" >/data/dump.rdb; shift
exec 3<&0; (cat <&3 >/dev/null; kill -KILL $$) & exec redis-server "$@" </dev/null 3<&-"#;

/// Waits until PostgreSQL responds.
const POSTGRES_READY: &str = "until psql -XAtq -d postgres -c 'SELECT 1' >/dev/null 2>&1; do sleep 0.1; done";

/// Waits until Redis responds. The user `health` may only PING, with any password; a server that still loads its file replies
/// LOADING.
const REDIS_READY: &str = r#"until [ "$(redis-cli -s /run/redis/redis.sock --no-auth-warning --user health --pass x PING 2>&1)" = PONG ]; do sleep 0.1; done"#;

/// For each line of its input prints the space of a directory's disk: free blocks, all blocks, bytes per block, free inodes, all
/// inodes.
const MEASURE: &str = r#"while read -r _; do stat -fc '%a %b %S %d %c' "$1"; done"#;

/// The arguments of PostgreSQL: the live server's own settings first, for what programs in the set may need; the others suit a
/// throwaway copy, which need not survive a crash and must be small.
const POSTGRES_OPTIONS: &str = "postgres -c config_file=/etc/postgresql/postgresql.conf \
    -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c autovacuum=off -c archive_mode=off -c ssl=off \
    -c wal_level=minimal -c max_wal_senders=0 -c checkpoint_timeout=1h -c max_wal_size=1GB -c huge_pages=off \
    -c max_connections=40 -c listen_addresses= -c logging_collector=off -c log_min_error_statement=panic";

/// The arguments of Redis: the live server's own settings without its append-only file, which Redis would prefer to the RDB file.
const REDIS_OPTIONS: &str = "/nexus/redis.conf --appendonly no --dbfilename dump.rdb --maxmemory 0";

/// Prints the live container's image, by digest and by name, and the source of its mount `/nexus`.
const LIVE_FORMAT: &str = r#"{{.Image}}|{{.Config.Image}}|{{range .Mounts}}{{if eq .Destination "/nexus"}}{{.Source}}{{end}}{{end}}"#;

/// A throwaway server to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spec {
    /// The service.
    pub service: Service,
    /// The memory limit, in MiB.
    pub memory_mib: u32,
    /// The length of the RDB file that follows the password, in bytes.
    pub bytes: u64,
}

/// What a throwaway server takes over from the live container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveContainer {
    /// The image's digest, `sha256:…`.
    pub image_id: String,
    /// The image's name in the stack's settings.
    pub image: String,
    /// The directory of the stack's scripts for the service.
    scripts: String,
}

impl LiveContainer {
    /// Parses the output of [`inspect_live`]. What goes back onto a command line is checked.
    ///
    /// # Errors
    /// `NotRun` when docker printed something else.
    pub fn parse(output: &str) -> Result<Self, RunError> {
        let unexpected =
            || RunError::NotRun(format!("docker described the live container as {:?}", output.trim()));
        let mut parts = output.trim().splitn(3, '|');
        let mut next = || parts.next().map(str::to_owned).ok_or_else(unexpected);
        let live = Self { image_id: next()?, image: next()?, scripts: next()? };
        // A comma would end the field of `--mount`.
        let is_path = live.scripts.starts_with('/')
            && !live.scripts.contains(|c: char| c.is_control() || matches!(c, ',' | '"'));
        if is_image_id(&live.image_id) && is_path { Ok(live) } else { Err(unexpected()) }
    }
}

/// Describes the live container of `service` ([`LiveContainer`]).
pub fn inspect_live(service: Service) -> Argv {
    inspect(LIVE_FORMAT).word(service.container())
}

/// Prints the digests of the live container's image in registries.
pub fn digests(live: &LiveContainer) -> Argv {
    Argv::new("image inspect --format").word("{{json .RepoDigests}}").word(&live.image_id)
}

/// Returns the name of a service's throwaway container.
pub fn name(service: Service) -> &'static str {
    match service {
        Service::Postgres => "nexus-scratch-postgres",
        Service::Redis => "nexus-scratch-redis",
    }
}

/// Runs the server. The kernel kills it first when memory is short, and gives it the least processor time.
pub fn server(spec: Spec, live: &LiveContainer) -> Argv {
    let mib = spec.memory_mib;
    let argv = Argv::new("run --rm --interactive --init --name")
        .word(name(spec.service))
        .words("--label nexus.scratch --pull never --log-driver none --network none")
        // The capabilities are for AS_USER; setpriv gives them up.
        .words("--read-only --user 0:0 --cap-drop ALL --cap-add CHOWN --cap-add SETUID --cap-add SETGID")
        .words("--security-opt no-new-privileges:true")
        .words("--cgroup-parent nexus.slice --ulimit core=0 --pids-limit 512")
        .words("--cpu-shares 128 --oom-score-adj 1000")
        .word(format!("--memory={mib}m"))
        .word(format!("--memory-swap={mib}m"))
        .word(format!("--shm-size={}m", mib / 2))
        .words("--tmpfs /tmp:size=64m,mode=1777,noexec,nosuid,nodev")
        // Secrets of its own, not the live server's: the set may come from another person.
        .words("--tmpfs /run/secrets:size=64k,mode=1777,noexec,nosuid,nodev --mount")
        .word(format!("type=bind,src={},dst=/nexus,readonly", live.scripts));
    // A volume without a name: `--rm` removes it with its container.
    match spec.service {
        Service::Postgres => {
            let argv = argv
                .words("--volume /run/nexus/scratch:/var/run/postgresql")
                .words("--mount type=volume,dst=/var/lib/postgresql,volume-label=nexus.scratch --mount")
                // initdb wants a name for its user.
                .word(format!("type=bind,src={}/scratch-passwd,dst=/etc/passwd,readonly", live.scripts))
                .words("--mount type=bind,src=/etc/nexus/postgres,dst=/etc/postgresql,readonly")
                .words("--env PGUSER=postgres --env PGPASSFILE=/run/secrets/postgres_pgpass")
                .words(
                    "--env PGDATA=/var/lib/postgresql/scratch/docker --env NEXUS_INITDB_OPTIONS=--no-sync",
                );
            run(argv, live, "/var/run/postgresql /var/lib/postgresql", POSTGRES)
                .words(POSTGRES_OPTIONS)
                .words("-c")
                .word(format!("shared_buffers={}MB", mib / 4))
                .words("-c")
                .word(format!("maintenance_work_mem={}MB", mib / 4))
        }
        Service::Redis => {
            let argv = argv
                .words("--volume /run/nexus/scratch:/run/redis")
                .words("--mount type=volume,dst=/data,volume-label=nexus.scratch");
            run(argv, live, "/run/redis /data", REDIS).word(spec.bytes.to_string()).words(REDIS_OPTIONS)
        }
    }
}

/// Adds the image, and the script that becomes the server, whose directories these are.
fn run(argv: Argv, live: &LiveContainer, directories: &'static str, script: &'static str) -> Argv {
    let argv = argv.words("--entrypoint sh").word(&live.image_id).words("-c").word(AS_USER).words("sh");
    argv.words(directories).word(script)
}

/// Waits until the server responds.
pub fn ready(service: Service) -> Argv {
    let script = match service {
        Service::Postgres => POSTGRES_READY,
        Service::Redis => REDIS_READY,
    };
    Argv::new("exec").words(USER).word(name(service)).words("sh -c").word(script)
}

/// Measures the disk of the server's volume whenever a line comes.
///
/// It runs as a user without rights: the server's programs cannot kill or change processes of another user.
pub fn measure(service: Service) -> Argv {
    let volume = match service {
        Service::Postgres => "/var/lib/postgresql",
        Service::Redis => "/data",
    };
    let argv = Argv::new("exec --interactive --user 65534:65534 --workdir /").word(name(service));
    argv.words("sh -c").word(MEASURE).words("sh").words(volume)
}

/// Kills the server.
pub fn kill(service: Service) -> Argv {
    Argv::new("kill").word(name(service))
}

/// Lists the ids of all throwaway containers. A foreign image may have the label, but its container has another name.
pub fn containers() -> Argv {
    Argv::new("ps --all --no-trunc --quiet --filter name=^nexus-scratch- --filter label=nexus.scratch")
}

/// Lists the names of their volumes.
pub fn volumes() -> Argv {
    Argv::new("volume ls --quiet --filter label=nexus.scratch")
}

/// Removes containers and their volumes without names.
pub fn remove_containers(ids: &[String]) -> Argv {
    Argv::new("rm --force --volumes").all(ids)
}

/// Removes volumes.
pub fn remove_volumes(names: &[String]) -> Argv {
    Argv::new("volume rm --force").all(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live() -> LiveContainer {
        let output = format!("sha256:{}|pg:18|/usr/local/share/nexus/compose/postgres\n", "0a".repeat(32));
        LiveContainer::parse(&output).unwrap()
    }

    #[test]
    fn output_that_goes_onto_a_command_line_is_checked() {
        let id = format!("sha256:{}", "0a".repeat(32));
        assert_eq!(live().image_id, id);
        for bad in [
            String::new(),
            format!("{id}|pg"),
            format!("{id}|pg|"),
            format!("{id}|pg|relative"),
            format!("{id}|pg|/x,dst=/etc"),
            format!("{}|pg|/x", id.to_uppercase()),
            "pg:18|pg:18|/x".to_owned(),
        ] {
            assert!(LiveContainer::parse(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_throwaway_server_has_no_access_and_leaves_nothing() {
        for service in [Service::Postgres, Service::Redis] {
            let argv = server(Spec { service, memory_mib: 512, bytes: 7 }, &live());
            for pair in [
                ["--network", "none"],
                ["--cap-drop", "ALL"],
                ["--pull", "never"],
                ["--label", "nexus.scratch"],
                [
                    "--volume",
                    if service == Service::Redis {
                        "/run/nexus/scratch:/run/redis"
                    } else {
                        "/run/nexus/scratch:/var/run/postgresql"
                    },
                ],
            ] {
                assert!(argv.windows(2).any(|words| words == pair), "{pair:?}");
            }
            // Nothing more than AS_USER needs, and it comes first.
            let added =
                argv.windows(2).filter(|words| words[0] == "--cap-add").map(|words| words[1].as_str());
            assert_eq!(added.collect::<Vec<_>>(), ["CHOWN", "SETUID", "SETGID"]);
            assert!(argv.windows(3).any(|words| words == ["-c", AS_USER, "sh"]));
            assert!(argv.contains(&"--rm".to_owned()) && argv.contains(&"--memory=512m".to_owned()));
            for secret in ["nexus_postgres_data", "nexus_redis_data", "/etc/nexus/credentials"] {
                assert!(!argv.iter().any(|word| word.contains(secret)), "{secret}");
            }
        }
    }
}
