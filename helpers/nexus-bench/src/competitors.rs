//! Other backup programs, each with the scripts that a person would write.
//!
//! The scripts are for bash. Their environment has `PGHOST`, `PGPORT`, `PGUSER`, `PGPASSFILE`,
//! `PGDATABASE` (the database to back up), `TARGET` (the database that a restore creates), `OUT`
//! (an empty directory for the backup), `RECIPIENT` and `IDENTITY` (for age), `JOBS` (processors),
//! `VOLUME` (the server's files), `SECRET` (a file with a password).

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// Another backup program.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// Programs that it needs. The first one prints its version.
    pub(crate) programs: &'static [&'static str],
    /// The Debian packages of these programs.
    pub(crate) packages: &'static str,
    /// Creates what is needed once, such as a repository. Not measured.
    pub(crate) prepare: &'static str,
    pub(crate) backup: &'static str,
    /// `None` if it cannot restore one database beside others.
    pub(crate) restore: Option<&'static str>,
}

/// Restores a whole dump with pg_restore on all processors.
macro_rules! pg_restore {
    ($decrypt:literal) => {
        Some(concat!(
            $decrypt,
            r#" && createdb "$TARGET" && pg_restore -j "$JOBS" -d "$TARGET" "$OUT/restored""#
        ))
    };
}

/// All programs.
pub(crate) const PEERS: [Peer; 6] = [
    Peer {
        name: "pg_dump | gzip | age",
        programs: &["pg_dump", "gzip", "age", "psql"],
        packages: "postgresql-client age",
        prepare: "true",
        backup: r#"pg_dump "$PGDATABASE" | gzip | age -r "$RECIPIENT" -o "$OUT/dump.sql.gz.age""#,
        restore: Some(
            r#"createdb "$TARGET" && age -d -i "$IDENTITY" "$OUT/dump.sql.gz.age" | gzip -d | psql -XAtq -v ON_ERROR_STOP=1 -o /dev/null "$TARGET""#,
        ),
    },
    Peer {
        name: "pg_dump -Fc -Z zstd:3 | age",
        programs: &["pg_dump", "age", "pg_restore"],
        packages: "postgresql-client age",
        prepare: "true",
        backup: r#"pg_dump -Fc -Z zstd:3 "$PGDATABASE" | age -r "$RECIPIENT" -o "$OUT/dump.age""#,
        restore: pg_restore!(r#"age -d -i "$IDENTITY" -o "$OUT/restored" "$OUT/dump.age""#),
    },
    Peer {
        name: "pg_dump -Fd -j | tar | age",
        programs: &["pg_dump", "tar", "age", "pg_restore"],
        packages: "postgresql-client age tar",
        prepare: "true",
        backup: r#"pg_dump -Fd -j "$JOBS" -Z zstd:3 -f "$OUT/dump" "$PGDATABASE" && tar -C "$OUT" -c dump | age -r "$RECIPIENT" -o "$OUT/dump.tar.age" && rm -r "$OUT/dump""#,
        restore: pg_restore!(
            r#"age -d -i "$IDENTITY" "$OUT/dump.tar.age" | tar -C "$OUT" -x && mv "$OUT/dump" "$OUT/restored""#
        ),
    },
    Peer {
        name: "pgBackRest full",
        programs: &["pgbackrest", "unshare"],
        packages: "pgbackrest",
        // It needs the server's files at the path that the server names. archive-check is off,
        // because NEXUS archives no WAL.
        prepare: r#"cat >"$OUT/conf" <<-END
	[global]
	repo1-path=$OUT/repo
	repo1-cipher-type=aes-256-cbc
	repo1-cipher-pass=$(cat "$SECRET")
	compress-type=zst
	process-max=$JOBS
	start-fast=y
	archive-check=n
	log-level-file=off
	lock-path=$OUT
	spool-path=$OUT
	[nexus]
	pg1-path=/var/lib/postgresql/18/docker
	pg1-socket-path=$PGHOST
	pg1-user=$PGUSER
	END
	cat >"$OUT/run" <<-'END'
	set -e
	mkdir -p /var/lib/postgresql
	mount --bind "$VOLUME" /var/lib/postgresql
	exec pgbackrest --config="$OUT/conf" --stanza=nexus "$@"
	END
	unshare --mount bash "$OUT/run" --no-online stanza-create"#,
        backup: r#"unshare --mount bash "$OUT/run" --type=full backup"#,
        restore: None,
    },
    Peer {
        name: "restic of pg_dump",
        programs: &["restic", "pg_dump", "pg_restore"],
        packages: "restic postgresql-client",
        prepare: r#"restic --quiet --no-cache --repo "$OUT/repo" --password-file "$SECRET" init"#,
        backup: r#"pg_dump -Fc -Z0 "$PGDATABASE" | restic --quiet --no-cache --repo "$OUT/repo" --password-file "$SECRET" backup --stdin --stdin-filename dump"#,
        restore: pg_restore!(
            r#"restic --quiet --no-cache --repo "$OUT/repo" --password-file "$SECRET" dump latest dump >"$OUT/restored""#
        ),
    },
    Peer {
        name: "borgmatic",
        programs: &["borgmatic", "borg", "pg_dump"],
        packages: "borgmatic borgbackup postgresql-client",
        // The environment names the server, because `hostname` does not work with the path of a
        // socket.
        prepare: r#"cat >"$OUT/conf" <<-END
	source_directories: []
	repositories: [{path: $OUT/repo}]
	encryption_passphrase: $(cat "$SECRET")
	borg_base_directory: $OUT/borg
	compression: zstd,3
	postgresql_databases: [{name: $PGDATABASE, format: custom, options: -Z0}]
	END
	chmod 600 "$OUT/conf"
	borgmatic --config "$OUT/conf" init --encryption repokey-blake2"#,
        backup: r#"borgmatic --config "$OUT/conf" create"#,
        restore: None,
    },
];

impl Peer {
    /// Returns the first of its programs that is not on the PATH.
    pub(crate) fn missing(&self) -> Option<&'static str> {
        self.programs.iter().copied().find(|program| !is_installed(program))
    }

    /// Returns the version that its first program prints.
    pub(crate) fn version(&self) -> Option<String> {
        let program = self.programs.first()?;
        let argument = if matches!(*program, "restic" | "pgbackrest") { "version" } else { "--version" };
        let output = Command::new(program).arg(argument).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
        version.map(str::to_owned)
    }

    /// Returns the command of a script. The caller sets its environment.
    pub(crate) fn command(script: &str) -> Command {
        let mut command = Command::new("bash");
        command.args(["-euo", "pipefail", "-c", script]);
        command
    }
}

/// Returns whether a program is on the PATH.
pub(crate) fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| {
        let metadata = directory.join(program).metadata();
        metadata.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_is_bash() {
        for peer in &PEERS {
            for script in [peer.prepare, peer.backup].into_iter().chain(peer.restore) {
                let status = Command::new("bash").args(["-n", "-c", script]).status().unwrap();
                assert!(status.success(), "{}: {script}", peer.name);
            }
        }
    }

    #[test]
    fn a_missing_program_is_detected() {
        assert!(is_installed("bash") && !is_installed("no-such-program-anywhere"));
    }
}
