//! A replacement for docker, and a client of the helper.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nexus_docker_client::frame::{Frame, FrameReader, Stream};
use nexus_docker_client::protocol::Request;
use tempfile::TempDir;

const DOCKER: &str = r#"#!/bin/sh
dir=${0%/*}
printf '%s\0' "$@" > "$dir/argv.$$" && mv "$dir/argv.$$" "$dir/call.$$"
env | cut -d= -f1 | sort > "$dir/environment"
case $1 in
exec)
    while [ "$1" != nexus-postgres ]; do shift; done
    shift
    exec 3<&0
    PATH=$dir:/usr/bin:/bin
    if [ -e "$dir/relays" ] && [ "${5-}" = pg_dumpall ]; then
        # Its output ends with this process and not with the tool, as with the real one.
        mkfifo "$dir/fifo"
        "$@" <&3 3<&- >"$dir/fifo" 2>/dev/null &
        echo $$ > "$dir/cli.pid"
        exec cat "$dir/fifo"
    fi
    "$@" <&3 3<&- &
    wait $! ;;
ps) cat "$dir/ps" ;;
*) cat "$dir/$1" 2>/dev/null || { echo "Error: no $1" >&2; exit 1; } ;;
esac
"#;

const SLEEPER: &str = "#!/bin/sh\necho $$ > ${0%/*}/tool.pid\nexec sleep 600\n";

/// A directory of programs for the helper's PATH.
pub(crate) struct Bin(TempDir);

impl Bin {
    pub(crate) fn new() -> Self {
        let bin = Self(tempfile::tempdir().unwrap());
        bin.add("docker", DOCKER);
        bin
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn add(&self, name: &str, script: &str) {
        let path = self.path().join(name);
        // Under another name first: a file that is open for writing cannot be executed.
        fs::write(path.with_extension("new"), script).unwrap();
        fs::set_permissions(path.with_extension("new"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(path.with_extension("new"), path).unwrap();
    }

    /// Starts the helper with a connection, as systemd would.
    pub(crate) fn helper(&self) -> (Child, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_nexus-docker"));
        command.env_clear().env("PATH", self.path_variable()).env("HOME", "/nonexistent");
        command.env("SECRET", "hidden").env("DOCKER_CONFIG", "/elsewhere");
        let child = command.stdin(OwnedFd::from(theirs)).stdout(Stdio::null()).spawn().unwrap();
        (child, ours)
    }

    pub(crate) fn path_variable(&self) -> String {
        format!("{}:/usr/bin:/bin", self.path().display())
    }

    pub(crate) fn ask(&self, line: &[u8], input: &[u8]) -> Answer {
        let (mut helper, mut socket) = self.helper();
        // The helper may answer and exit before everything is sent.
        let _ = socket.write_all(line).and_then(|()| socket.write_all(input));
        let _ = socket.shutdown(std::net::Shutdown::Write);
        let answer = Answer::read(&mut socket);
        assert!(helper.wait().unwrap().success());
        answer
    }

    /// The arguments of each call of `docker`.
    pub(crate) fn calls(&self) -> Vec<Vec<String>> {
        let entries = fs::read_dir(self.path()).unwrap().map(|entry| entry.unwrap().path());
        let calls = entries.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("call."));
        let words = |path: PathBuf| {
            let text = fs::read_to_string(path).unwrap();
            text.strip_suffix('\0').unwrap().split('\0').map(str::to_owned).collect()
        };
        calls.map(words).collect()
    }

    /// Starts a dump whose tool runs for ever, and waits until the tool runs.
    pub(crate) fn endless_dump(&self) -> (Child, UnixStream, u32) {
        self.add("pg_dumpall", SLEEPER);
        let (helper, mut socket) = self.helper();
        socket.write_all(&line(&Request::DumpRoles {})).unwrap();
        let pid = self.path().join("tool.pid");
        wait_until(|| fs::read_to_string(&pid).is_ok_and(|text| text.ends_with('\n')));
        let pid = fs::read_to_string(pid).unwrap().trim().parse().unwrap();
        (helper, socket, pid)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    pub(crate) last: Option<Frame<'static>>,
}

impl Answer {
    pub(crate) fn read(from: &mut impl Read) -> Self {
        let mut answer = Self::default();
        let (mut frames, mut buffer) = (FrameReader::default(), vec![0; 1 << 16]);
        while answer.last.is_none()
            && let Ok(frame) = frames.next(from, &mut buffer)
        {
            match frame {
                Frame::Output(Stream::Stdout, bytes) => answer.stdout.extend(bytes),
                Frame::Output(Stream::Stderr, bytes) => answer.stderr += &String::from_utf8_lossy(bytes),
                Frame::Exit(status) => answer.last = Some(Frame::Exit(status)),
                Frame::Refused(reason) => answer.last = Some(Frame::Refused(reason)),
            }
        }
        answer
    }

    pub(crate) fn refusal(&self) -> &str {
        match &self.last {
            Some(Frame::Refused(reason)) => reason,
            other => panic!("{other:?} is not a refusal"),
        }
    }
}

pub(crate) fn line(request: &Request) -> Vec<u8> {
    let mut line = serde_json::to_vec(request).unwrap();
    line.push(b'\n');
    line
}

pub(crate) fn wait_until(condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(20), "timed out");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Returns whether a process exists and has not exited.
pub(crate) fn runs(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}
