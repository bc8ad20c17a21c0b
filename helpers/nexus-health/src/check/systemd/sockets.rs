//! Sockets without a listener, and which user's program has their port.

use std::net::SocketAddr;

use super::ask::{Asked, FailedSocket};
use crate::check::exposure::ports::{Listener, Listening};
use crate::finding::Finding;

/// The owner wants those off that `systemctl disable` has turned off.
pub(super) fn look(asked: &Asked, is_wanted: bool, listening: &Listening) -> Finding {
    let is_unneeded = |name: &str| asked.unneeded_sockets.iter().any(|unneeded| unneeded == name);
    let is_deaf = |name: &&str| {
        is_wanted && name.ends_with(".socket") && asked.active(name) != Some("active") && !is_unneeded(name)
    };
    let deaf: Vec<&str> = asked.in_state(&["enabled"]).filter(is_deaf).collect();
    if deaf.is_empty() {
        return Finding::ok("sockets", "systemd listens on every socket.");
    }
    let names = deaf.join(", ");
    let (sentence, advice) = match holder(asked, listening) {
        Some(holder) => (
            format!(
                "NEXUS does not listen on {names}: another program has {}, {}.",
                holder.address,
                holder.of_whom()
            ),
            format!(
                "See which: ss -tlnp 'sport = :{}'; when it has gone the socket comes back by itself",
                holder.address.port()
            ),
        ),
        None => (
            format!("Nothing listens on {names}: requests there get no reply."),
            format!("Start it: systemctl start {}; see: journalctl -u {}", deaf.join(" "), deaf[0]),
        ),
    };
    // An upgrade stops and starts them.
    Finding::critical("sockets", sentence, advice).patient(2)
}

/// Whether a socket has failed and its port is free, so that a start helps. A list from before the failure does not show
/// that, and after a failed start there is no other try for an hour.
pub(super) fn can_start(asked: &Asked, listening: &Listening) -> bool {
    let enabled: Vec<&str> = asked.in_state(&["enabled"]).collect();
    let is_listed =
        |failed: &FailedSocket| enabled.contains(&failed.name.as_str()) && listening.at > failed.at;
    asked.failed_sockets.iter().any(is_listed) && holder(asked, listening).is_none()
}

/// The program that listens on the address of a failed socket. A list from before the failure may show the socket
/// itself.
fn holder<'a>(asked: &Asked, listening: &'a Listening) -> Option<&'a Listener> {
    let failed = asked.failed_sockets.iter().filter(|socket| listening.at > socket.at);
    let wanted = failed.flat_map(|socket| &socket.addresses).filter_map(|address| address.parse().ok());
    wanted.into_iter().find_map(|address: SocketAddr| {
        let is_in_the_way = |other: &&Listener| {
            other.address.port() == address.port()
                && (other.address.ip() == address.ip() || other.address.ip().is_unspecified())
        };
        listening.listeners.iter().find(is_in_the_way)
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::super::tests::asked;
    use super::*;
    use crate::finding::Level;

    const FILES: [(&str, &str); 2] = [("nexus-api.socket", "enabled"), ("nexus-embed.socket", "disabled")];

    #[test]
    fn a_socket_that_is_enabled_must_be_listened_on_and_one_that_a_person_turned_off_not() {
        let nobody = Listening::default();
        let up = asked(&[("nexus-api.socket", "active")], &FILES);
        assert_eq!(look(&up, true, &nobody).level, Level::Ok);
        for units in [&[("nexus-api.socket", "failed")][..], &[]] {
            let asked = asked(units, &FILES);
            assert!(look(&asked, true, &nobody).sentence.contains("nexus-api.socket:"));
            assert_eq!(look(&asked, false, &nobody).level, Level::Ok);
        }
        let mut asked = asked(&[("nexus-api.socket", "inactive")], &FILES);
        asked.unneeded_sockets.push("nexus-api.socket".to_owned());
        assert_eq!(look(&asked, true, &nobody).level, Level::Ok, "as without IPv6");
    }

    #[test]
    fn who_has_the_port_is_named_and_the_socket_started_only_when_it_is_free() {
        let (at, second) = (SystemTime::now(), Duration::from_secs(1));
        let mut asked = asked(&[("nexus-api.socket", "failed")], &FILES);
        let addresses = ["127.0.0.1:8003", "/run/nexus/api.sock"].map(str::to_owned).to_vec();
        asked.failed_sockets = vec![FailedSocket { name: "nexus-api.socket".to_owned(), addresses, at }];
        let listening = |address: &str, at| {
            let listener = |address: &str| Listener { address: address.parse().unwrap(), user: Some(0) };
            Listening { listeners: vec![listener("127.0.0.1:22"), listener(address)], at }
        };
        for address in ["127.0.0.1:8003", "0.0.0.0:8003", "[::]:8003"] {
            let after = listening(address, at + second);
            let finding = look(&asked, true, &after);
            assert!(finding.sentence.contains(&format!("another program has {address}, of root")));
            assert!(finding.advice.contains(":8003"));
            assert!(!can_start(&asked, &after));
            assert!(!can_start(&asked, &listening(address, at - second)), "it may be the socket itself");
        }
        assert!(can_start(&asked, &listening("127.0.0.1:8004", at + second)));
        assert!(can_start(&asked, &listening("[::1]:8003", at + second)));
        asked.failed_sockets[0].addresses = vec!["[::1]:8003".to_owned()];
        let after = listening("[::1]:8003", at + second);
        assert!(look(&asked, true, &after).sentence.contains("another program has [::1]:8003, of root"));
        assert!(can_start(&asked, &listening("127.0.0.1:8003", at + second)));
    }
}
