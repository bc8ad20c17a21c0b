//! Putting an RDB file in the place of Redis's data, with the old data kept beside and a way back.
//!
//! With `appendonly yes` Redis 7 and later start from `appendonlydir` alone and ignore `dump.rdb` (redis.io,
//! "Redis persistence"), so the file becomes the base of a new append-only directory. It is written and
//! checked while Redis still runs; only a checked one is swapped in, by two renames, while Redis is stopped.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::Flock;

use crate::asker::Asker;
use crate::command::{Argv, words};
use crate::lock;
use crate::run::{self, Input, Trouble};

const REDIS: &str = "nexus-redis";

/// For questions and renames.
const SHORT: Duration = Duration::from_secs(60);
/// For stopping: Redis may have much to write first.
const STOP: Duration = Duration::from_secs(600);
/// For the file to come through and be checked.
const LOAD: Duration = Duration::from_secs(4 * 3600);
/// For Redis to read all of it.
const HEALTHY: Duration = Duration::from_secs(1800);

/// Writes the file from standard input into `appendonlydir.new` and checks it to its last byte: the
/// checker wants the magic, the end mark and the checksum, so a stream that was cut does not pass. Of what
/// it says, only the line after its mark is passed on: the others may hold names of keys.
const LOAD_SCRIPT: &str = "\
set -eu; umask 077; cd /data; rm -rf appendonlydir.new; mkdir appendonlydir.new; cd appendonlydir.new
cat > appendonly.aof.1.base.rdb
redis-check-rdb appendonly.aof.1.base.rdb > /tmp/said || {
  rm -rf /data/appendonlydir.new
  echo \"error: this is no whole RDB file: $(grep -A 1 'ERROR DETECTED' /tmp/said | tail -n 1)\" >&2
  exit 65
}
echo 'file appendonly.aof.1.base.rdb seq 1 type b' > appendonly.aof.manifest
sync";

/// Swaps the new directory in and prints the name of the one that keeps the old data. If the second
/// rename fails, the first is undone. What a power cut between the two leaves is both directories, under
/// their other names.
const SWAP_SCRIPT: &str = "\
set -eu; cd /data; test -s appendonlydir.new/appendonly.aof.manifest
kept=appendonlydir.before-restore-$(date -u +%Y%m%dT%H%M%SZ); test ! -e $kept
test ! -e appendonlydir || mv appendonlydir $kept
mv appendonlydir.new appendonlydir || { mv $kept appendonlydir; exit 1; }
sync; echo $kept";

/// Undoes the swap: the directory named by the first parameter becomes Redis's data again.
const UNDO_SCRIPT: &str = "\
set -eu; cd /data; failed=appendonlydir.failed-restore-$(date -u +%Y%m%dT%H%M%SZ); test ! -e $failed
mv appendonlydir $failed; test ! -e \"$1\" || mv \"$1\" appendonlydir
sync";

/// Restores Redis from the RDB file that is `input`, and tells the asker the name of the directory that
/// keeps the old data. Until the swap a hang-up ends it and Redis has noticed nothing; from then on it is
/// carried through, whoever listens.
///
/// # Errors
/// When Redis cannot be stopped, the file is no RDB file or not whole, or Redis does not become healthy
/// with it; Redis has its old data then.
pub fn restore(asker: &Arc<Asker>, input: Input) -> Result<(), Trouble> {
    let _lock = only_one(asker)?;
    let image = image(&run::output(asker, &inspect("{{.Image}}"), SHORT)?)?;
    run::output_fed(asker, &in_volume(&image, LOAD_SCRIPT, None), input, LOAD)?;
    // An asker that dies while it sends ends the stream too. The file was whole, but nobody said so.
    if asker.is_gone() {
        return Err(Trouble::HungUp);
    }
    let stopped = run::output(asker, &words(&["stop", REDIS]), STOP);
    let swapped = stopped.and_then(|_| run::output(asker, &in_volume(&image, SWAP_SCRIPT, None), SHORT));
    let started = start(asker);
    let kept = kept(&swapped?)?;
    if let Err(trouble) = started {
        asker.say("going back to the data from before");
        run::output(asker, &words(&["stop", REDIS]), STOP)?;
        run::output(asker, &in_volume(&image, UNDO_SCRIPT, Some(&kept)), SHORT)?;
        start(asker)?;
        return Err(trouble);
    }
    let _ = asker.frame(b'o', format!("{kept}\n").as_bytes());
    Ok(())
}

/// Starts Redis and waits until it is healthy.
fn start(asker: &Arc<Asker>) -> Result<(), Trouble> {
    run::output(asker, &words(&["start", REDIS]), SHORT)?;
    let question = inspect("{{.State.Status}} {{with .State.Health}}{{.Status}}{{end}}");
    let begun = Instant::now();
    while begun.elapsed() < HEALTHY {
        match run::output(asker, &question, SHORT)?.trim() {
            // Without a health check, running is all that can be known.
            "running healthy" | "running" => return Ok(()),
            "running starting" => thread::sleep(Duration::from_secs(1)),
            // It ended, or again and again, or the compose file's start_period is over: its data are too
            // much for it. (A crashing Redis may also hang in its own crash report, running all the while.)
            state => {
                asker
                    .say(&format!("error: Redis did not start: it is {state}. See: docker logs nexus-redis"));
                return Err(Trouble::Failed(1));
            }
        }
    }
    Err(Trouble::TooLate(HEALTHY))
}

/// Two restores at once would swap each other's data.
///
/// # Errors
/// `Failed` with 75 when a restore of Redis, or a restart of it, is running.
pub fn only_one(asker: &Asker) -> Result<Flock<File>, Trouble> {
    lock::take(Path::new(lock::REDIS), Duration::ZERO, asker, "another restore of Redis is running")
}

fn inspect(template: &str) -> Argv {
    words(&["inspect", "--type", "container", "--format", template, REDIS])
}

/// Runs a script on Redis's volume, in a container of Redis's own image with nothing else in reach.
fn in_volume(image: &str, script: &str, parameter: Option<&str>) -> Argv {
    let mut argv = words(&["run", "--rm", "--interactive", "--name", "nexus-redis-restore"]);
    argv.extend(words(&["--pull", "never", "--log-driver", "none", "--network", "none"]));
    argv.extend(words(&["--read-only", "--tmpfs", "/tmp", "--user", "999:1000", "--cap-drop", "ALL"]));
    argv.extend(words(&["--security-opt", "no-new-privileges", "--volumes-from", REDIS]));
    argv.extend(words(&["--entrypoint", "sh", image, "-c", script, "sh"]));
    argv.extend(parameter.map(str::to_owned));
    argv
}

/// Docker's id of an image. It goes back onto a command line, so it is checked.
fn image(said: &str) -> Result<String, Trouble> {
    let hex = said.trim().strip_prefix("sha256:").unwrap_or_default();
    if hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        Ok(said.trim().to_owned())
    } else {
        Err(Trouble::NotRun("docker named no image for nexus-redis".to_owned()))
    }
}

/// The name that [`SWAP_SCRIPT`] printed; the same goes for it.
fn kept(said: &str) -> Result<String, Trouble> {
    let time = said.trim().strip_prefix("appendonlydir.before-restore-").unwrap_or_default();
    if time.len() == 16 && time.bytes().all(|b| matches!(b, b'0'..=b'9' | b'T' | b'Z')) {
        Ok(said.trim().to_owned())
    } else {
        Err(Trouble::NotRun("the swap of Redis's data did not say what it kept".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_back_onto_a_command_line_is_checked() {
        let id = format!("sha256:{}", "0123456789abcdef".repeat(4));
        assert_eq!(image(&format!("{id}\n")).unwrap(), id);
        for bad in ["", "redis:8", "sha256:", "sha256:../x", &id.to_uppercase(), &format!("{id}\n{id}")] {
            assert!(image(bad).is_err(), "{bad:?}");
        }
        assert!(kept("appendonlydir.before-restore-20261122T030012Z\n").is_ok());
        for bad in [
            "",
            "appendonlydir",
            "appendonlydir.before-restore-",
            "appendonlydir.before-restore-../../../../x",
        ] {
            assert!(kept(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_volume_is_reached_with_nothing_else() {
        let argv = in_volume("sha256:0", UNDO_SCRIPT, Some("kept"));
        let image = argv.iter().position(|word| word == "sha256:0").unwrap();
        assert_eq!(argv[image + 1..], ["-c", UNDO_SCRIPT, "sh", "kept"]);
        for pair in
            [["--network", "none"], ["--cap-drop", "ALL"], ["--user", "999:1000"], ["--pull", "never"]]
        {
            assert!(argv[..image].windows(2).any(|words| words == pair), "{pair:?}");
        }
    }
}
