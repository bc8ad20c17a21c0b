//! The command lines that replace Redis's data.

use nexus_docker_client::protocol::Service;

use super::argv::Argv;
use super::stack::inspect;

/// Writes the file from standard input into `appendonlydir.new` and checks it to its last byte: the checker requires the magic,
/// the end mark and the checksum, so a truncated file fails. Of the checker's output only the line after its mark is passed on:
/// the others may contain names of keys.
const LOAD: &str = "\
set -eu; umask 077; cd /data; rm -rf appendonlydir.new; mkdir appendonlydir.new; cd appendonlydir.new
cat > appendonly.aof.1.base.rdb
redis-check-rdb appendonly.aof.1.base.rdb > /tmp/said || {
  rm -rf /data/appendonlydir.new
  echo \"error: not a complete RDB file: $(grep -A 1 'ERROR DETECTED' /tmp/said | tail -n 1)\" >&2
  exit 65
}
echo 'file appendonly.aof.1.base.rdb seq 1 type b' > appendonly.aof.manifest
sync";

/// Swaps the new directory in and prints the name of the one that keeps the old data. If the second rename fails, the first is
/// undone. A power cut between the two leaves both directories, under their other names.
const SWAP: &str = "\
set -eu; cd /data; test -s appendonlydir.new/appendonly.aof.manifest
kept=appendonlydir.before-restore-$(date -u +%Y%m%dT%H%M%SZ); test ! -e $kept
test ! -e appendonlydir || mv appendonlydir $kept
mv appendonlydir.new appendonlydir || { mv $kept appendonlydir; exit 1; }
sync; echo $kept";

/// Undoes the swap: the directory named by the first parameter becomes Redis's data again.
const UNDO: &str = "\
set -eu; cd /data; failed=appendonlydir.failed-restore-$(date -u +%Y%m%dT%H%M%SZ); test ! -e $failed
mv appendonlydir $failed; test ! -e \"$1\" || mv \"$1\" appendonlydir
sync";

/// Prints the id of Redis's image.
pub fn image() -> Argv {
    inspect("{{.Image}}").word(name())
}

/// Prints Redis's state, and its health if it has a health check.
pub fn state() -> Argv {
    inspect("{{.State.Status}} {{with .State.Health}}{{.Status}}{{end}}").word(name())
}

/// Starts Redis.
pub fn start() -> Argv {
    Argv::new("start").word(name())
}

/// Stops Redis.
pub fn stop() -> Argv {
    Argv::new("stop").word(name())
}

/// Loads the RDB file that is the input beside Redis's data, and checks it.
pub fn load(image: &str) -> Argv {
    in_volume(image, LOAD)
}

/// Replaces Redis's data with the loaded ones; prints the name of the directory that keeps the old ones.
pub fn swap(image: &str) -> Argv {
    in_volume(image, SWAP)
}

/// Makes the data in directory `rollback` Redis's data again.
pub fn undo(image: &str, rollback: &str) -> Argv {
    in_volume(image, UNDO).word(rollback)
}

fn name() -> &'static str {
    Service::Redis.container()
}

/// Runs a script on Redis's volume, in a container of Redis's own image with access to nothing else.
fn in_volume(image: &str, script: &str) -> Argv {
    Argv::new(
        "run --rm --interactive --name nexus-redis-restore --pull never --log-driver none --network none",
    )
    .words("--read-only --tmpfs /tmp --user 999:1000 --cap-drop ALL --security-opt no-new-privileges")
    .words("--volumes-from nexus-redis --entrypoint sh")
    .word(image)
    .word("-c")
    .word(script)
    .word("sh")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_on_the_volume_has_access_to_nothing_else() {
        let argv = undo("sha256:0", "old");
        let image = argv.iter().position(|word| word == "sha256:0").unwrap();
        assert_eq!(argv[image + 1..], ["-c", UNDO, "sh", "old"]);
        for pair in
            [["--network", "none"], ["--cap-drop", "ALL"], ["--user", "999:1000"], ["--pull", "never"]]
        {
            assert!(argv[..image].windows(2).any(|words| words == pair), "{pair:?}");
        }
    }
}
