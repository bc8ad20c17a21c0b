//! Listening addresses. nexus-health has no network and cannot see them, so nexus-health-ports.service, which can open no socket,
//! writes the kernel's list into a file. Any local user can listen on as many addresses as it likes, so nothing here keeps the whole
//! list in memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, SystemTime};

use nexus_cli::failure::{OrFailIo, Result};
use nexus_cli::text::listed;
use nexus_fs::files;
use nix::unistd::{Uid, User};

use crate::args::Args;
use crate::finding::Finding;

/// The kernel's lists (proc(5)).
const LISTS: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];

/// The oldest list that counts. It is written every few minutes.
const OLDEST: Duration = Duration::from_secs(3600);

/// State TCP_LISTEN of the kernel (include/net/tcp_states.h).
const LISTENING: &str = "0A";

/// A listening address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listener {
    pub(crate) address: SocketAddr,
    /// The user of the listening program, if the kernel shows it.
    pub(crate) user: Option<u32>,
}

impl Listener {
    /// Returns the name of the user, else its number, else `unknown`.
    pub(crate) fn user_name(self) -> String {
        let user = self.user.and_then(|id| User::from_uid(Uid::from_raw(id)).ok().flatten());
        match (user, self.user) {
            (Some(user), _) => user.name,
            (None, Some(id)) => id.to_string(),
            (None, None) => "unknown".to_owned(),
        }
    }

    /// Parses `127.0.0.1:8003 1000`. An earlier version wrote no user number.
    fn read(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let address = words.next()?.parse().ok()?;
        Some(Self { address, user: words.next().and_then(|id| id.parse().ok()) })
    }
}

/// Writes the listening addresses and their users into `path`, one on each line.
pub(crate) fn note(path: &Path) -> Result<()> {
    let write = |file: &mut File| {
        let mut to = BufWriter::new(file);
        LISTS.iter().try_for_each(|list| copy(list, &mut to))?;
        to.flush()
    };
    files::replace_with(path, 0o644, write).or_fail_io(|| format!("writing {}", path.display()))
}

fn copy(list: &str, to: &mut impl Write) -> io::Result<()> {
    let doing = || format!("reading {list}");
    let table = match File::open(list) {
        // A kernel without IPv6 has no such list.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        opened => BufReader::new(opened.or_fail_io(doing)?),
    };
    for line in table.lines() {
        if let Some(Listener { address, user }) = listening(&line.or_fail_io(doing)?) {
            let user = user.map(|id| format!(" {id}")).unwrap_or_default();
            writeln!(to, "{address}{user}")?;
        }
    }
    Ok(())
}

/// The listening addresses, and when they were written.
#[derive(Clone, Debug)]
pub(in crate::check) struct Listening {
    pub(in crate::check) listeners: Vec<Listener>,
    pub(in crate::check) at: SystemTime,
}

impl Default for Listening {
    fn default() -> Self {
        Self { listeners: Vec::new(), at: SystemTime::UNIX_EPOCH }
    }
}

/// Returns those listeners of the written list that `is_wanted`, each once; none if it cannot be read, which is a separate finding.
pub(in crate::check) fn listening_now(args: &Args, is_wanted: impl Fn(&Listener) -> bool) -> Listening {
    let Ok((lines, at)) = written(args) else { return Listening::default() };
    let mut listeners = Vec::new();
    for listener in lines.map_while(io::Result::ok).filter_map(|line| Listener::read(&line)) {
        if is_wanted(&listener) && !listeners.contains(&listener) {
            listeners.push(listener);
        }
    }
    Listening { listeners, at }
}

/// Returns the lines of the written list, and when it was written.
fn written(args: &Args) -> io::Result<(impl Iterator<Item = io::Result<String>>, SystemTime)> {
    let file = files::open(&args.run_dir.join("ports"))?;
    let at = file.metadata()?.modified()?;
    Ok((BufReader::new(file).lines(), at))
}

/// Checks the written list.
pub(super) fn check(args: &Args) -> Finding {
    let path = args.run_dir.join("ports");
    let advice = "Write the list of listening addresses: systemctl start nexus-health-ports; see whether its timer runs: systemctl \
                  status nexus-health-ports.timer";
    let list = format!("The list of listening addresses ({})", path.display());
    let is_new = |at: SystemTime| SystemTime::now().duration_since(at).unwrap_or_default() < OLDEST;
    match written(args) {
        Ok((_, at)) if !is_new(at) => {
            Ok(Finding::unknown("ports", format!("{list} has not been written for an hour."), advice))
        }
        Ok((lines, _)) => judge(lines, &args.ports),
        Err(error) => Err(error),
    }
    .unwrap_or_else(|error| Finding::unknown("ports", format!("{list} cannot be read: {error}"), advice))
}

/// Checks the lines of the list.
fn judge(lines: impl Iterator<Item = io::Result<String>>, ports: &[u16]) -> io::Result<Finding> {
    let mut end = Ok(());
    let mut open = lines
        .map_while(|line| line.map_err(|error| end = Err(error)).ok())
        .filter_map(|line| Listener::read(&line))
        .map(|listener| listener.address)
        .filter(|address| ports.contains(&address.port()) && !address.ip().to_canonical().is_loopback())
        .peekable();
    let Some(port) = open.peek().map(SocketAddr::port) else {
        drop(open);
        return end.map(|()| Finding::ok("ports", "No port of NEXUS is open to other machines."));
    };
    Ok(Finding::critical(
        "ports",
        format!("Other machines can reach: {}.", listed(open)),
        format!("See which program listens: ss -tlnp 'sport = :{port}'; make it listen on 127.0.0.1 only"),
    ))
}

/// Parses `  0: 0100007F:1538 00000000:0000 0A … … … 1000 …`: address and port in hexadecimal, the address in words of the machine's
/// byte order; after three more words the user's number.
fn listening(line: &str) -> Option<Listener> {
    let mut words = line.split_whitespace().skip(1);
    let (local, _, state) = (words.next()?, words.next()?, words.next()?);
    let user = words.nth(3).and_then(|id| id.parse().ok());
    if state != LISTENING {
        return None;
    }
    let (address, port) = local.split_once(':')?;
    let words: Vec<[u8; 4]> = address
        .as_bytes()
        .chunks(8)
        .map(|word| u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok().map(u32::to_ne_bytes))
        .collect::<Option<_>>()?;
    let bytes = words.concat();
    let ip = match bytes.len() {
        4 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?)),
        _ => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)),
    };
    Some(Listener { address: SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?), user })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::FindingLevel;

    #[test]
    #[cfg(target_endian = "little")]
    fn the_kernels_list_is_read() {
        let found = |line: &str| listening(line).map(|listener| listener.address.to_string());
        let line = "   0: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 1";
        assert_eq!(found(line).as_deref(), Some("127.0.0.1:5432"));
        assert_eq!(listening(line).unwrap().user, Some(1000));
        assert_eq!(found("   1: 00000000:1F43 00000000:0000 0A 0").as_deref(), Some("0.0.0.0:8003"));
        let line = "0: 00000000000000000000000001000000:0277 00000000000000000000000000000000:0000 0A";
        assert_eq!(found(line).as_deref(), Some("[::1]:631"));
        for other in ["  sl  local_address rem_address   st", "   2: 0100007F:1F44 0100007F:9999 01 0", ""] {
            assert_eq!(found(other), None);
        }
    }

    fn judged(text: &str) -> io::Result<Finding> {
        judge(BufReader::new(text.as_bytes()).lines(), &[5432])
    }

    #[test]
    fn only_a_reachable_port_of_nexus_is_critical() {
        let level = |text: &str| judged(text).unwrap().level;
        assert_eq!(level("127.0.0.1:5432 1000\n"), FindingLevel::Ok);
        assert_eq!(level("0.0.0.0:5432 1000\n"), FindingLevel::Critical);
        assert_eq!(
            level("127.0.0.1:5432\n[::1]:5432\n0.0.0.0:22\n[::ffff:127.0.0.1]:5432\n"),
            FindingLevel::Ok
        );
        assert_eq!(level("0.0.0.0:5432\n"), FindingLevel::Critical);
        assert_eq!(level("[::]:5432\n"), FindingLevel::Critical);
    }

    #[test]
    fn of_many_open_addresses_five_are_named() {
        let many = (1..=25_000).map(|number| Ok(format!("[2001:db8::{number:x}]:5432 65534")));
        let finding = judge(many, &[5432]).unwrap();
        assert!(
            finding.sentence.ends_with("[2001:db8::5]:5432 and 24 995 more."),
            "{} bytes",
            finding.sentence.len()
        );
    }

    #[test]
    fn a_list_that_cannot_be_read_to_its_end_is_unknown() {
        let ends = |text: &'static str| {
            let lines = BufReader::new(text.as_bytes()).lines();
            judge(lines.chain([Err(io::Error::other("it ends"))]), &[5432])
        };
        assert_eq!(ends("127.0.0.1:5432\n").unwrap_err().to_string(), "it ends");
        assert_eq!(ends("0.0.0.0:5432\n").unwrap().level, FindingLevel::Critical);
    }
}
