//! Sockets without a listener, and which user's program has their port.

use std::net::SocketAddr;

use nexus_cli::text::listed;

use super::snapshot::{FailedSocket, UnitSnapshot};
use crate::check::exposure::ports::{Listener, Listening};
use crate::finding::Finding;

/// Checks the enabled sockets. The owner has turned off those that are disabled.
pub(super) fn check(snapshot: &UnitSnapshot, is_wanted: bool, listening: &Listening) -> Finding {
    let is_unneeded = |name: &str| snapshot.unneeded_sockets.iter().any(|unneeded| unneeded == name);
    let is_silent = |name: &&str| {
        is_wanted
            && name.ends_with(".socket")
            && snapshot.active(name) != Some("active")
            && !is_unneeded(name)
    };
    let silent: Vec<&str> = snapshot.in_state(&["enabled"]).filter(is_silent).collect();
    if silent.is_empty() {
        return Finding::ok("sockets", "systemd listens on every socket.");
    }
    let names = listed(&silent);
    let (sentence, advice) = match holder(snapshot, listening) {
        Some(holder) => (
            format!(
                "NEXUS does not listen on {names}: another program uses {} (user {}).",
                holder.address,
                holder.user_name()
            ),
            format!(
                "See which program: ss -tlnp 'sport = :{}'; when it has exited, nexus-health starts the socket again",
                holder.address.port()
            ),
        ),
        None => (
            format!("Nothing listens on {names}: requests there get no reply."),
            format!(
                "Start the sockets: systemctl start {}; see why one stopped: journalctl -u {}",
                silent.join(" "),
                silent[0]
            ),
        ),
    };
    // An upgrade stops and starts them.
    Finding::critical("sockets", sentence, advice).patient(2)
}

/// Returns whether a socket has failed and its port is free, so that a start helps. A list from before the failure does not
/// count: if a start fails, the next try is an hour later.
pub(super) fn can_start(snapshot: &UnitSnapshot, listening: &Listening) -> bool {
    let enabled: Vec<&str> = snapshot.in_state(&["enabled"]).collect();
    let is_listed =
        |failed: &FailedSocket| enabled.contains(&failed.name.as_str()) && listening.at > failed.at;
    snapshot.failed_sockets.iter().any(is_listed) && holder(snapshot, listening).is_none()
}

/// Returns whether `listener` has the address of a failed socket.
pub(super) fn is_in_the_way(snapshot: &UnitSnapshot, listener: &Listener) -> bool {
    let mut wanted = snapshot.failed_sockets.iter().flat_map(addresses);
    wanted.any(|address| has(listener, address))
}

fn addresses(socket: &FailedSocket) -> impl Iterator<Item = SocketAddr> {
    socket.addresses.iter().filter_map(|address| address.parse().ok())
}

fn has(listener: &Listener, address: SocketAddr) -> bool {
    let ip = listener.address.ip();
    listener.address.port() == address.port() && (ip == address.ip() || ip.is_unspecified())
}

/// Returns the program that listens on the address of a failed socket. A list from before the failure does not count, because
/// it may show the socket itself.
fn holder<'a>(snapshot: &UnitSnapshot, listening: &'a Listening) -> Option<&'a Listener> {
    let failed = snapshot.failed_sockets.iter().filter(|socket| listening.at > socket.at);
    failed
        .flat_map(addresses)
        .find_map(|address| listening.listeners.iter().find(|listener| has(listener, address)))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::super::tests::snapshot_of;
    use super::*;
    use crate::level::FindingLevel;

    const FILES: [(&str, &str); 2] = [("nexus-api.socket", "enabled"), ("nexus-embed.socket", "disabled")];

    #[test]
    fn an_enabled_socket_must_listen_and_a_disabled_one_need_not() {
        let nobody = Listening::default();
        let up = snapshot_of(&[("nexus-api.socket", "active")], &FILES);
        assert_eq!(check(&up, true, &nobody).level, FindingLevel::Ok);
        for units in [&[("nexus-api.socket", "failed")][..], &[]] {
            let snapshot = snapshot_of(units, &FILES);
            assert!(check(&snapshot, true, &nobody).sentence.contains("nexus-api.socket:"));
            assert_eq!(check(&snapshot, false, &nobody).level, FindingLevel::Ok);
        }
        let mut snapshot = snapshot_of(&[("nexus-api.socket", "inactive")], &FILES);
        snapshot.unneeded_sockets.push("nexus-api.socket".to_owned());
        assert_eq!(check(&snapshot, true, &nobody).level, FindingLevel::Ok, "as without IPv6");
    }

    #[test]
    fn the_owner_of_a_port_is_named_and_a_socket_started_only_on_a_free_port() {
        let (at, second) = (SystemTime::now(), Duration::from_secs(1));
        let mut snapshot = snapshot_of(&[("nexus-api.socket", "failed")], &FILES);
        let addresses = ["127.0.0.1:8003", "/run/nexus/api.sock"].map(str::to_owned).to_vec();
        snapshot.failed_sockets = vec![FailedSocket { name: "nexus-api.socket".to_owned(), addresses, at }];
        let listening = |address: &str, at| {
            let listener = |address: &str| Listener { address: address.parse().unwrap(), user: Some(0) };
            Listening { listeners: vec![listener("127.0.0.1:22"), listener(address)], at }
        };
        for address in ["127.0.0.1:8003", "0.0.0.0:8003", "[::]:8003"] {
            let after = listening(address, at + second);
            let finding = check(&snapshot, true, &after);
            assert!(finding.sentence.contains(&format!("another program uses {address} (user root)")));
            assert!(finding.advice.contains(":8003"));
            assert!(!can_start(&snapshot, &after));
            assert!(!can_start(&snapshot, &listening(address, at - second)), "it may be the socket itself");
        }
        assert!(can_start(&snapshot, &listening("127.0.0.1:8004", at + second)));
        assert!(can_start(&snapshot, &listening("[::1]:8003", at + second)));
        snapshot.failed_sockets[0].addresses = vec!["[::1]:8003".to_owned()];
        let after = listening("[::1]:8003", at + second);
        assert!(
            check(&snapshot, true, &after).sentence.contains("another program uses [::1]:8003 (user root)")
        );
        assert!(can_start(&snapshot, &listening("127.0.0.1:8003", at + second)));
    }
}
