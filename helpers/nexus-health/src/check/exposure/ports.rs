//! Listening addresses. nexus-health has no network and cannot see them, so nexus-health-ports.service, which can open no socket,
//! writes the kernel's list into a file. Any local user can listen on as many addresses as it likes, so the file has the addresses that
//! matter to NEXUS, and of all others the first ones. Nothing here keeps the kernel's whole list in memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, SystemTime};

use nexus_cli::failure::{OrFailIo, Result};
use nexus_cli::text::listed_with;
use nexus_fs::files;
use nix::unistd::{Uid, User};

use crate::args::Args;
use crate::finding::Finding;

/// The kernel's lists (proc(5)).
const LISTS: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];

/// The oldest list that counts. It is written every few minutes.
const OLDEST: Duration = Duration::from_secs(3600);

/// The port of the API, unless a drop-in of its socket has another.
const API: u16 = 8003;

/// The most addresses of each [`Relevance`] in the file.
const MOST: usize = 1000;

/// The line with the number of reachable listeners that the file lacks begins with this.
const MORE: &str = "more ";

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

/// What a listener means for NEXUS, the most important first.
enum Relevance {
    /// It has a port of NEXUS on every address, or on the loopback address where NEXUS listens. There are few of these.
    InTheWay,
    /// Other machines reach it on a port of NEXUS.
    Reachable,
    /// Any other. It may have the address of a socket that a drop-in has changed.
    Other,
}

impl Relevance {
    fn of(address: SocketAddr, ports: &[u16]) -> Self {
        let (ip, port) = (address.ip(), address.port());
        let is_ours = ports.contains(&port);
        let is_first = ip.is_unspecified() || ip == Ipv4Addr::LOCALHOST || ip == Ipv6Addr::LOCALHOST;
        if is_first && (is_ours || port == API) {
            Self::InTheWay
        } else if is_ours && !ip.is_loopback() {
            Self::Reachable
        } else {
            Self::Other
        }
    }
}

/// The listeners to write.
#[derive(Default)]
struct Noted {
    in_the_way: Vec<Listener>,
    reachable: Vec<Listener>,
    /// The number of reachable ones beyond the limit.
    more_reachable: u64,
    others: Vec<Listener>,
}

impl Noted {
    fn add(&mut self, listener: Listener, ports: &[u16]) {
        match Relevance::of(listener.address, ports) {
            // With SO_REUSEPORT one user can have many on the same address.
            Relevance::InTheWay if self.in_the_way.contains(&listener) => {}
            Relevance::InTheWay if self.in_the_way.len() < MOST => self.in_the_way.push(listener),
            Relevance::Reachable if self.reachable.len() < MOST => self.reachable.push(listener),
            Relevance::Reachable => self.more_reachable += 1,
            Relevance::Other if self.others.len() < MOST => self.others.push(listener),
            Relevance::InTheWay | Relevance::Other => {}
        }
    }

    /// Adds what one of the kernel's lists has.
    fn read(&mut self, list: &str, ports: &[u16]) -> io::Result<()> {
        let table = match File::open(list) {
            // A kernel without IPv6 has no such list.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            opened => BufReader::new(opened?),
        };
        for line in table.lines() {
            if let Some(listener) = listening(&line?) {
                self.add(listener, ports);
            }
        }
        Ok(())
    }

    fn write(&self, to: &mut impl Write) -> io::Result<()> {
        for Listener { address, user } in self.in_the_way.iter().chain(&self.reachable).chain(&self.others) {
            let user = user.map(|id| format!(" {id}")).unwrap_or_default();
            writeln!(to, "{address}{user}")?;
        }
        if self.more_reachable > 0 {
            writeln!(to, "{MORE}{}", self.more_reachable)?;
        }
        Ok(())
    }
}

/// Writes the listening addresses and their users into `path`, one on each line: those on `ports`, and some others.
pub(crate) fn note(path: &Path, ports: &[u16]) -> Result<()> {
    let mut noted = Noted::default();
    for list in LISTS {
        noted.read(list, ports).or_fail_io(|| format!("reading {list}"))?;
    }
    let write = |file: &mut File| {
        let mut to = BufWriter::new(file);
        noted.write(&mut to)?;
        to.flush()
    };
    files::replace_with(path, 0o644, write).or_fail_io(|| format!("writing {}", path.display()))
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
    let (mut open, mut more, mut end) = (Vec::new(), 0, Ok(()));
    for line in lines {
        let line = match line {
            Ok(line) => line,
            Err(error) => {
                end = Err(error);
                break;
            }
        };
        if let Some(number) = line.strip_prefix(MORE).and_then(|number| number.parse::<u64>().ok()) {
            more += number;
        }
        let Some(Listener { address, .. }) = Listener::read(&line) else { continue };
        if !ports.contains(&address.port()) || address.ip().to_canonical().is_loopback() {
            continue;
        }
        // An earlier version wrote all of them.
        if open.len() < MOST {
            open.push(address);
        } else {
            more += 1;
        }
    }
    let Some(port) = open.first().map(SocketAddr::port) else {
        return end.map(|()| Finding::ok("ports", "No port of NEXUS is open to other machines."));
    };
    Ok(Finding::critical(
        "ports",
        format!("Other machines can reach: {}.", listed_with(open, more)),
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
        // `::ffff:127.0.0.1` takes the port of 127.0.0.1.
        _ => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)).to_canonical(),
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
        let line = "1: 0000000000000000FFFF00000100007F:1F43 00000000000000000000000000000000:0000 0A";
        assert_eq!(found(line).as_deref(), Some("127.0.0.1:8003"));
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
    fn of_many_listeners_those_that_matter_are_noted() {
        let ports = [5432, 8003];
        let listener = |address: &str, user| Listener { address: address.parse().unwrap(), user: Some(user) };
        let mut noted = Noted::default();
        for number in 1..=5000 {
            noted.add(listener(&format!("127.1.{}.{}:8003", number / 256, number % 256), 65534), &ports);
            noted.add(listener(&format!("[2001:db8::{number:x}]:5432"), 65534), &ports);
            noted.add(listener(&format!("0.0.0.0:{}", 10_000 + number), 65534), &ports);
            noted.add(listener("[::1]:8003", 65534), &ports);
        }
        noted.add(listener("0.0.0.0:8003", 1000), &ports);
        let mut text = Vec::new();
        noted.write(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.starts_with("[::1]:8003 65534\n0.0.0.0:8003 1000\n"), "{}", &text[..100]);
        assert!(text.ends_with("\nmore 4000\n"));
        assert_eq!(text.lines().count(), 2 + 2 * MOST + 1);
        let sentence = judge(text.lines().map(|line| Ok(line.to_owned())), &ports).unwrap().sentence;
        assert!(
            sentence.starts_with("Other machines can reach: 0.0.0.0:8003, [2001:db8::1]:5432, "),
            "{sentence}"
        );
        // 5001 in all.
        assert!(sentence.ends_with(" and 4 996 more."), "{sentence}");
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
