//! Lists of networks in the settings: IPv4 and IPv6 addresses, and networks in CIDR notation (RFC 4632).

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

/// The most networks in a list.
const MAX_NETWORKS: usize = 256;

/// Parses an address, or a network whose address has no bits outside the prefix.
fn network(text: &str) -> Result<IpNet, String> {
    let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| {
        format!("\"{text}\" is neither an address nor a network such as 192.168.1.0/24 or 2001:db8::/48")
    })?;
    if network.trunc() != network {
        return Err(format!(
            "\"{text}\": the address has bits outside the prefix; the network is {}",
            network.trunc()
        ));
    }
    Ok(network)
}

/// One or more networks, separated by spaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Networks(Vec<IpNet>);

impl Networks {
    /// Returns the private networks and the loopback: Caddy's `private_ranges`.
    pub(crate) fn private() -> Self {
        let all = "192.168.0.0/16 172.16.0.0/12 10.0.0.0/8 127.0.0.0/8 fd00::/8 ::1/128";
        Self(all.split(' ').filter_map(|text| network(text).ok()).collect())
    }

    /// Returns whether one of them contains every IPv4 or IPv6 address.
    pub(crate) fn hold_everybody(&self) -> bool {
        self.0.iter().any(|network| network.prefix_len() == 0)
    }
}

impl FromStr for Networks {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains(',') {
            return Err("separate the networks by spaces, not commas".to_owned());
        }
        let networks: Vec<IpNet> = text.split_whitespace().map(network).collect::<Result<_, _>>()?;
        match networks.len() {
            0 => Err("it has no address".to_owned()),
            1..=MAX_NETWORKS => Ok(Self(networks)),
            more => Err(format!("it has {more} networks; at most {MAX_NETWORKS} are allowed")),
        }
    }
}

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&all.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_parser_of_lists_is_strict() {
        let said = |text: &str| text.parse::<Networks>().map(|list| list.to_string());
        assert_eq!(
            said("192.168.1.0/24 2001:db8::/48  198.51.100.7"),
            Ok("192.168.1.0/24 2001:db8::/48 198.51.100.7/32".to_owned())
        );
        for wrong in [
            "",
            " ",
            "192.168.1.5/24",
            "192.168.1.0/33",
            "192.168.1.0/",
            "192.168.1.0/+8",
            "192.168.1.0/-1",
            "192.168.1.0/24/1",
            "192.168.1",
            "10.0.0.0/8,fd00::/8",
            "2001:db8::1/48",
            "fe80::1%eth0",
            "nas",
            "::/129",
            "0x0a.0.0.0/8",
            "any",
            "private_ranges",
            "10.0.0.0/8 }",
            "10.0.0.0/0",
        ] {
            assert!(said(wrong).is_err(), "{wrong}");
        }
        assert!(vec!["10.0.0.0/8"; 257].join(" ").parse::<Networks>().is_err());
        assert!(said("192.168.1.5/24").unwrap_err().ends_with("the network is 192.168.1.0/24"));
    }

    #[test]
    fn a_network_of_every_address_is_recognized_in_both_families() {
        let all = |text: &str| text.parse::<Networks>().unwrap().hold_everybody();
        assert!(all("10.0.0.0/8 0.0.0.0/0"));
        assert!(all("::/0"));
        assert!(!all("0.0.0.0/1 ::/1"));
        assert!(!Networks::private().hold_everybody());
        assert_eq!(Networks::private().0.len(), 6);
    }

    proptest! {
        /// The printed form means what was checked: Caddy and systemd read it.
        #[test]
        fn the_printed_form_is_parsed_back(v4: Ipv4Addr, v6: Ipv6Addr, bits4 in 0..=32u8, bits6 in 0..=128u8) {
            for (address, bits) in [(IpAddr::V4(v4), bits4), (IpAddr::V6(v6), bits6)] {
                let network = IpNet::new(address, bits).unwrap().trunc();
                prop_assert_eq!(network.to_string().parse::<Networks>(), Ok(Networks(vec![network])));
            }
        }

        #[test]
        fn only_the_characters_of_addresses_are_accepted(text in "\\PC{0,40}") {
            if let Ok(list) = text.parse::<Networks>() {
                prop_assert!(list.to_string().bytes().all(|byte| byte.is_ascii_hexdigit() || b".:/ ".contains(&byte)));
            }
        }
    }
}
