//! This machine's own addresses, read from the kernel's lists in /proc, which needs no socket.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nexus_cli::failure::{OrFailIo, Result};

/// A parser of one of the kernel's lists.
type Reader = fn(&str) -> Vec<IpAddr>;

/// The kernel's lists, with their parsers (proc(5)).
const LISTS: [(&str, Reader); 2] = [("/proc/net/fib_trie", of_routes), ("/proc/net/if_inet6", of_interfaces)];

/// Returns this machine's public addresses.
pub(crate) fn public() -> Result<Vec<IpAddr>> {
    let mut found = Vec::new();
    for (list, addresses) in LISTS {
        // A kernel without IPv6 lacks the second list.
        if let Some(text) = fs::read_to_string(list).if_there(|| format!("reading {list}"))? {
            found.extend(addresses(&text));
        }
    }
    found.retain(|address| is_public(*address));
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Parses `|-- 192.168.1.5` followed, on a later line, by `/32 host LOCAL`.
fn of_routes(table: &str) -> Vec<IpAddr> {
    let (mut last, mut found) = (None, Vec::new());
    for line in table.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse::<Ipv4Addr>().ok();
        } else if line == "/32 host LOCAL" {
            found.extend(last.map(IpAddr::V4));
        }
    }
    found
}

/// Parses `20010db8000000000000000000000001 02 40 00 80 eth0`.
fn of_interfaces(table: &str) -> Vec<IpAddr> {
    let words = table.lines().filter_map(|line| line.split_whitespace().next());
    let numbers = words.filter_map(|word| u128::from_str_radix(word, 16).ok());
    numbers.map(|number| IpAddr::V6(Ipv6Addr::from_bits(number))).collect()
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            // Shared address space: many customers of a provider behind one address (RFC 6598).
            let is_shared = first == 100 && second & 0xc0 == 64;
            !(address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_documentation()
                || address.is_unspecified()
                || address.is_multicast()
                || is_shared)
        }
        // Global unicast (RFC 4291), except the addresses for documentation.
        IpAddr::V6(address) => {
            let [first, second, ..] = address.segments();
            first & 0xe000 == 0x2000 && !(first == 0x2001 && second == 0xdb8)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_lists_are_parsed() {
        let table = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     |-- 10.1.2.3\n        /32 host LOCAL\n\
                     |-- 10.1.2.255\n        /32 link BROADCAST\n     |-- 93.184.216.34\n        /32 host LOCAL\n";
        assert_eq!(
            of_routes(table),
            ["10.1.2.3", "93.184.216.34"].map(|text| text.parse::<IpAddr>().unwrap())
        );
        let table = "00000000000000000000000000000001 01 80 10 80       lo\n\
                     2a020000000000000000000000000005 02 40 00 80     eth0\n";
        assert_eq!(of_interfaces(table), ["::1", "2a02::5"].map(|text| text.parse::<IpAddr>().unwrap()));
        // This machine has at least a loopback address, which is not public.
        assert!(public().unwrap().iter().all(|address| !address.is_loopback()));
    }

    #[test]
    fn only_addresses_that_the_internet_routes_are_public() {
        let is = |text: &str| is_public(text.parse().unwrap());
        for address in ["93.184.216.34", "100.128.0.1", "2a02::5", "2001:470::1"] {
            assert!(is(address), "{address}");
        }
        for address in [
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.5",
            "127.0.0.1",
            "169.254.1.1",
            "100.64.0.1",
            "100.127.255.254",
            "::1",
            "fe80::1",
            "fd00::1",
            "2001:db8::1",
        ] {
            assert!(!is(address), "{address}");
        }
    }
}
