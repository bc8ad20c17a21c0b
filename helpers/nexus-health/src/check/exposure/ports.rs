//! Listening addresses. nexus-health has no network and cannot see them, so nexus-health-ports.service, which can open no socket,
//! writes the kernel's list into a file.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, SystemTime};

use nexus_cli::failure::{OrFailIo, Result};
use nexus_fs::files;
use nix::unistd::{Uid, User};

use crate::args::Args;
use crate::finding::Finding;
use crate::publish::file;

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

    /// Parses `127.0.0.1:8003 1000`. An earlier nexus-health wrote no number.
    fn read(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let address = words.next()?.parse().ok()?;
        Some(Self { address, user: words.next().and_then(|id| id.parse().ok()) })
    }
}

/// Writes the listening addresses and their users into `path`, one on each line.
pub(crate) fn note(path: &Path) -> Result<()> {
    let mut lines = String::new();
    for list in LISTS {
        // A kernel without IPv6 has no such list.
        let text = fs::read_to_string(list).if_there(|| format!("reading {list}"))?.unwrap_or_default();
        for Listener { address, user } in listening(&text) {
            let user = user.map(|id| format!(" {id}")).unwrap_or_default();
            lines.push_str(&format!("{address}{user}\n"));
        }
    }
    file::replace(path, lines.as_bytes())
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

/// Returns the written list; `None` if it cannot be read, which is a separate finding.
pub(in crate::check) fn listening_now(args: &Args) -> Listening {
    let path = args.run_dir.join("ports");
    let read = files::read_to_string(&path).and_then(|text| Ok((text, path.metadata()?.modified()?)));
    read.map_or_else(
        |_| Listening::default(),
        |(text, at)| Listening { listeners: text.lines().filter_map(Listener::read).collect(), at },
    )
}

/// Checks the written list.
pub(super) fn check(args: &Args) -> Finding {
    let path = args.run_dir.join("ports");
    let advice =
        "Write the list: systemctl start nexus-health-ports; see: systemctl status nexus-health-ports.timer";
    let read = files::read_to_string(&path).and_then(|text| Ok((text, path.metadata()?.modified()?)));
    match read {
        Ok((text, at)) if SystemTime::now().duration_since(at).unwrap_or_default() < OLDEST => {
            judge(&text, &args.ports)
        }
        Ok(_) => {
            Finding::unknown("ports", format!("{} has not been written for an hour.", path.display()), advice)
        }
        Err(error) => Finding::unknown("ports", format!("{}: {error}.", path.display()), advice),
    }
}

fn judge(text: &str, ports: &[u16]) -> Finding {
    let addresses = text.lines().filter_map(Listener::read);
    let open: Vec<String> = addresses
        .map(|listener| listener.address)
        .filter(|address| ports.contains(&address.port()) && !address.ip().to_canonical().is_loopback())
        .map(|address| address.to_string())
        .collect();
    if open.is_empty() {
        return Finding::ok("ports", "No port of NEXUS is open to other machines.");
    }
    Finding::critical(
        "ports",
        format!("Open to other machines: {}.", open.join(", ")),
        format!(
            "See who listens: ss -tlnp 'sport = :{}'; let it listen on 127.0.0.1 only",
            port_of(&open[0])
        ),
    )
}

fn port_of(address: &str) -> &str {
    address.rsplit(':').next().unwrap_or_default()
}

/// Parses `  0: 0100007F:1538 00000000:0000 0A … … … 1000 …`: address and port in hexadecimal, the address in words of the machine's
/// byte order; after three more words the user's number.
fn listening(table: &str) -> impl Iterator<Item = Listener> {
    table.lines().filter_map(|line| {
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
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::FindingLevel;

    #[test]
    #[cfg(target_endian = "little")]
    fn the_kernels_list_is_read() {
        let table = "  sl  local_address rem_address   st\n   0: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 1\n\
                     1: 00000000:1F43 00000000:0000 0A 0\n   2: 0100007F:1F44 0100007F:9999 01 0\n";
        let found: Vec<String> = listening(table).map(|listener| listener.address.to_string()).collect();
        assert_eq!(found, ["127.0.0.1:5432", "0.0.0.0:8003"]);
        assert_eq!(listening(table).next().unwrap().user, Some(1000));
        let table = "0: 00000000000000000000000001000000:0277 00000000000000000000000000000000:0000 0A\n";
        assert_eq!(
            listening(table).next().map(|listener| listener.address.to_string()).as_deref(),
            Some("[::1]:631")
        );
    }

    #[test]
    fn only_a_reachable_port_of_nexus_is_critical() {
        let level = |text: &str| judge(text, &[5432]).level;
        assert_eq!(level("127.0.0.1:5432 1000\n"), FindingLevel::Ok);
        assert_eq!(level("0.0.0.0:5432 1000\n"), FindingLevel::Critical);
        assert_eq!(
            level("127.0.0.1:5432\n[::1]:5432\n0.0.0.0:22\n[::ffff:127.0.0.1]:5432\n"),
            FindingLevel::Ok
        );
        assert_eq!(level("0.0.0.0:5432\n"), FindingLevel::Critical);
        assert_eq!(level("[::]:5432\n"), FindingLevel::Critical);
    }
}
