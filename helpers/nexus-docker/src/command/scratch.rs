//! The command lines of throwaway servers. Fields in them: the memory limit and the length of the RDB file (numbers), and
//! of the living container what docker itself said: the image's digest, and where the stack's own scripts are.

use nexus_docker_client::protocol::Service;

use super::{Argv, container, words};
use crate::request::Refusal;

/// What marks everything that belongs to a throwaway server.
const LABEL: &str = "nexus.scratch";

/// Removes leftovers of an earlier server from the directory of sockets, reports that the container runs, reads the
/// password from the input, starts a killer that waits for the end of the input, and becomes the server.
/// The container ends with its server, which is its only process but for the init and the killer.
const POSTGRES: &str = r#"set -e; umask 077; chmod -R u+rwX /var/run/postgresql/.; find /var/run/postgresql -mindepth 1 -delete; echo started
read -r word; printf '%s\n' "$word" >/run/secrets/postgres_password; printf '*:*:*:postgres:%s\n' "$word" >/run/secrets/postgres_pgpass
exec 3<&0; (cat <&3 >/dev/null; kill -KILL $$) & exec bash /nexus/start.sh "$@" </dev/null 3<&-"#;

/// The same; the RDB file, whose length is the first parameter, follows the password.
const REDIS: &str = r#"set -e; umask 077; chmod -R u+rwX /run/redis/.; find /run/redis -mindepth 1 -delete; echo started
read -r word; printf 'user default on >%s ~* &* +@all\nuser health on nopass resetkeys resetchannels -@all +ping\n' "$word" >/run/secrets/redis_acl
head -c "$1" >/data/dump.rdb; shift
exec 3<&0; (cat <&3 >/dev/null; kill -KILL $$) & exec redis-server "$@" </dev/null 3<&-"#;

/// Waits until the server answers.
const POSTGRES_READY: &str = "until psql -XAtq -d postgres -c 'SELECT 1' >/dev/null 2>&1; do sleep 0.1; done";

/// The same. The user `health` may only PING, with any password; one that still loads its file says LOADING.
const REDIS_READY: &str = r#"until [ "$(redis-cli -s /run/redis/redis.sock --no-auth-warning --user health --pass x PING 2>&1)" = PONG ]; do sleep 0.1; done"#;

/// For each line of its input prints how full the disk of a directory is: free blocks and all blocks, bytes of a block, free
/// inodes and all inodes.
const MEASURE: &str = r#"while read -r _; do stat -fc '%a %b %S %d %c' "$1"; done"#;

/// Where the volume of each server is.
const POSTGRES_VOLUME: &str = "/var/lib/postgresql";
const REDIS_VOLUME: &str = "/data";

/// What the living container is: digest and name of its image, and the source of its mount `/nexus`.
const LIVING: &str = r#"{{.Image}}|{{.Config.Image}}|{{range .Mounts}}{{if eq .Destination "/nexus"}}{{.Source}}{{end}}{{end}}"#;

/// Which throwaway server is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Of which service.
    pub service: Service,
    /// Memory limit, in MiB.
    pub memory_mib: u32,
    /// Length of the file it begins with, in bytes.
    pub bytes: u64,
}

/// What is taken over from the living container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Living {
    /// `sha256:…`
    pub image_id: String,
    /// As the stack's settings name it.
    pub image: String,
    /// Directory with the stack's own scripts for it.
    scripts: String,
}

impl Living {
    /// Reads what [`living`] printed. What goes back onto a command line is checked.
    ///
    /// # Errors
    /// When docker said something else.
    pub fn parse(said: &str) -> Result<Self, Refusal> {
        let refused = || Refusal(format!("docker described the living container as {:?}", said.trim()));
        let mut parts = said.trim().splitn(3, '|');
        let mut next = || parts.next().map(str::to_owned).ok_or_else(refused);
        let living = Self { image_id: next()?, image: next()?, scripts: next()? };
        let hex = living.image_id.strip_prefix("sha256:").unwrap_or_default();
        let is_digest = hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        // A comma would end the field of `--mount`.
        let is_path = living.scripts.starts_with('/')
            && !living.scripts.contains(|c: char| c.is_control() || matches!(c, ',' | '"'));
        if is_digest && is_path { Ok(living) } else { Err(refused()) }
    }
}

/// Asks what the living container of `service` is.
pub fn living(service: Service) -> Argv {
    words(&["inspect", "--type", "container", "--format", LIVING, container(service)])
}

/// Asks under which digests registries know its image.
pub fn digests(living: &Living) -> Argv {
    words(&["image", "inspect", "--format", "{{json .RepoDigests}}", &living.image_id])
}

/// Name of the throwaway container of a service.
pub fn name(service: Service) -> &'static str {
    match service {
        Service::Postgres => "nexus-scratch-postgres",
        Service::Redis => "nexus-scratch-redis",
    }
}

/// Runs the server. It is the first to go when memory or processor are short.
pub fn server(wanted: Wanted, living: &Living) -> Argv {
    let mut argv = words(&["run", "--rm", "--interactive", "--init", "--name", name(wanted.service)]);
    argv.extend(words(&["--label", LABEL, "--pull", "never", "--log-driver", "none", "--network", "none"]));
    argv.extend(words(&["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges:true"]));
    argv.extend(words(&["--cgroup-parent", "nexus.slice", "--ulimit", "core=0", "--pids-limit", "512"]));
    argv.extend(words(&["--cpu-shares", "128", "--oom-score-adj", "1000"]));
    let mib = wanted.memory_mib;
    argv.push(format!("--memory={mib}m"));
    argv.push(format!("--memory-swap={mib}m"));
    argv.push(format!("--shm-size={}m", mib / 2));
    argv.extend(words(&["--tmpfs", "/tmp:size=64m,mode=1777,noexec,nosuid,nodev"]));
    // The server's own secrets, none of the living server's: the set may come from another person.
    argv.extend(words(&["--tmpfs", "/run/secrets:size=64k,mode=1777,noexec,nosuid,nodev"]));
    argv.extend(mount(&living.scripts, "/nexus"));
    match wanted.service {
        Service::Postgres => postgres(&mut argv, mib, &living.image_id),
        Service::Redis => redis(&mut argv, wanted.bytes, &living.image_id),
    }
    argv
}

fn postgres(argv: &mut Argv, mib: u32, image: &str) {
    argv.extend(words(&["--user", "999:999", "--volume", "/run/nexus/scratch:/var/run/postgresql"]));
    argv.extend(volume(POSTGRES_VOLUME));
    argv.extend(mount("/etc/nexus/postgres", "/etc/postgresql"));
    for variable in [
        "PGUSER=postgres",
        "PGPASSFILE=/run/secrets/postgres_pgpass",
        "PGDATA=/var/lib/postgresql/scratch/docker",
        "NEXUS_INITDB_OPTIONS=--no-sync",
    ] {
        argv.extend(words(&["--env", variable]));
    }
    argv.extend(words(&["--entrypoint", "sh", image, "-c", POSTGRES, "sh", "postgres"]));
    let setting = |argv: &mut Argv, setting: &str| argv.extend(words(&["-c", setting]));
    // The living server's own settings, for what a program may need from them; then what is right for a copy that
    // nobody will miss: nothing has to survive, and it must be small.
    setting(argv, "config_file=/etc/postgresql/postgresql.conf");
    for off in ["fsync", "synchronous_commit", "full_page_writes", "autovacuum", "archive_mode", "ssl"] {
        setting(argv, &format!("{off}=off"));
    }
    for other in [
        "wal_level=minimal",
        "max_wal_senders=0",
        "checkpoint_timeout=1h",
        "max_wal_size=1GB",
        "huge_pages=off",
        "max_connections=40",
        "listen_addresses=",
        "logging_collector=off",
        "log_min_error_statement=panic",
    ] {
        setting(argv, other);
    }
    setting(argv, &format!("shared_buffers={}MB", mib / 4));
    setting(argv, &format!("maintenance_work_mem={}MB", mib / 4));
}

fn redis(argv: &mut Argv, bytes: u64, image: &str) {
    argv.extend(words(&["--user", "999:1000", "--volume", "/run/nexus/scratch:/run/redis"]));
    argv.extend(volume(REDIS_VOLUME));
    argv.extend(words(&["--entrypoint", "sh", image, "-c", REDIS, "sh"]));
    argv.push(bytes.to_string());
    // The living server's own settings, but without its append-only file, which would win over the snapshot.
    argv.extend(words(&["/nexus/redis.conf", "--appendonly", "no", "--dbfilename", "dump.rdb"]));
    argv.extend(words(&["--maxmemory", "0"]));
}

fn mount(source: &str, target: &str) -> Argv {
    vec!["--mount".to_owned(), format!("type=bind,src={source},dst={target},readonly")]
}

/// A volume without a name: `--rm` removes it with its container.
fn volume(target: &str) -> Argv {
    vec!["--mount".to_owned(), format!("type=volume,dst={target},volume-label={LABEL}")]
}

/// Waits until the server answers.
pub fn ready(service: Service) -> Argv {
    let script = match service {
        Service::Postgres => POSTGRES_READY,
        Service::Redis => REDIS_READY,
    };
    words(&["exec", name(service), "sh", "-c", script])
}

/// Measures the disk of the server's volume for as long as its input lasts.
///
/// As root without capabilities: the server's programs cannot end or change processes of another user.
pub fn measure(service: Service) -> Argv {
    let volume = match service {
        Service::Postgres => POSTGRES_VOLUME,
        Service::Redis => REDIS_VOLUME,
    };
    let mut argv = words(&["exec", "--interactive", "--user", "0:0", "--workdir", "/", name(service)]);
    argv.extend(words(&["sh", "-c", MEASURE, "sh", volume]));
    argv
}

/// Ends the server at once.
pub fn kill(service: Service) -> Argv {
    words(&["kill", name(service)])
}

/// Lists the ids of all throwaway containers.
pub fn containers() -> Argv {
    words(&["ps", "--all", "--no-trunc", "--quiet", "--filter", &format!("label={LABEL}")])
}

/// Lists the names of their volumes.
pub fn volumes() -> Argv {
    words(&["volume", "ls", "--quiet", "--filter", &format!("label={LABEL}")])
}

/// Removes containers, with the volumes that have no name.
pub fn remove_containers(ids: &[String]) -> Argv {
    let mut argv = words(&["rm", "--force", "--volumes"]);
    argv.extend_from_slice(ids);
    argv
}

/// Removes volumes.
pub fn remove_volumes(names: &[String]) -> Argv {
    let mut argv = words(&["volume", "rm", "--force"]);
    argv.extend_from_slice(names);
    argv
}

#[cfg(test)]
mod tests {
    use super::*;

    fn living() -> Living {
        let said = format!("sha256:{}|pg:18|/usr/local/share/nexus/compose/postgres\n", "0a".repeat(32));
        Living::parse(&said).unwrap()
    }

    #[test]
    fn what_docker_says_is_checked_before_it_goes_back_onto_a_command_line() {
        let id = format!("sha256:{}", "0a".repeat(32));
        assert_eq!(living().image_id, id);
        for bad in [
            String::new(),
            format!("{id}|pg"),
            format!("{id}|pg|"),
            format!("{id}|pg|relative"),
            format!("{id}|pg|/x,dst=/etc"),
            format!("{}|pg|/x", id.to_uppercase()),
            "pg:18|pg:18|/x".to_owned(),
        ] {
            assert!(Living::parse(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_throwaway_server_reaches_nothing_and_leaves_nothing() {
        for service in [Service::Postgres, Service::Redis] {
            let argv = server(Wanted { service, memory_mib: 512, bytes: 7 }, &living());
            for pair in [
                ["--network", "none"],
                ["--cap-drop", "ALL"],
                ["--pull", "never"],
                ["--label", LABEL],
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
            assert!(argv.contains(&"--rm".to_owned()) && argv.contains(&"--memory=512m".to_owned()));
            for living in ["nexus_postgres_data", "nexus_redis_data", "/etc/nexus/credentials"] {
                assert!(!argv.iter().any(|word| word.contains(living)), "{living}");
            }
        }
    }
}
