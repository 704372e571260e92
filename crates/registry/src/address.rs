//! The address guard: which addresses a name that strangers choose may lead to. It looks at what a
//! name resolves to when the connection is made, so that no second answer of the DNS gets past it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Refuses addresses of this machine, this link, and nobody; and those of private networks, where no
/// registry is meant, which may well live there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AddressGuard {
    allows_loopback: bool,
    allows_private: bool,
}

/// Why a name leads nowhere.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResolveError {
    #[error("{0}")]
    Blocked(&'static str),
    #[error("the name does not resolve")]
    Unresolved,
}

impl AddressGuard {
    /// A guard that lets private addresses pass, and loopback ones where that is so.
    pub(crate) const fn new(allows_loopback: bool) -> Self {
        Self { allows_loopback, allows_private: true }
    }

    /// The same without private addresses.
    pub(crate) const fn without_private(self) -> Self {
        Self { allows_private: false, ..self }
    }

    /// Why `address` is not to be connected to; `None` where it is fine.
    pub(crate) fn refusal(self, address: IpAddr) -> Option<&'static str> {
        let refusal = match address {
            IpAddr::V4(address) => refusal_v4(address),
            IpAddr::V6(address) => refusal_v6(address),
        };
        refusal.filter(|reason| match *reason {
            LOOPBACK => !self.allows_loopback,
            PRIVATE => !self.allows_private,
            _ => true,
        })
    }

    /// Why `name` is not to be asked for; `None` where what it resolves to decides. Behind a proxy
    /// nothing is resolved here, and `localhost` would be the proxy's own (RFC 6761, section 6.3).
    pub(crate) fn refusal_of_name(self, name: &str) -> Option<&'static str> {
        let name = name.strip_suffix('.').unwrap_or(name);
        let loopback = name == "localhost" || name.ends_with(".localhost");
        (loopback && !self.allows_loopback).then_some(LOOPBACK)
    }

    /// The addresses, or why they are not to be connected to: one bad one is enough.
    fn admit(self, addresses: Vec<SocketAddr>) -> Result<Addrs, ResolveError> {
        if addresses.is_empty() {
            return Err(ResolveError::Unresolved);
        }
        match addresses.iter().find_map(|address| self.refusal(address.ip())) {
            Some(reason) => Err(ResolveError::Blocked(reason)),
            None => Ok(Box::new(addresses.into_iter())),
        }
    }
}

impl Resolve for AddressGuard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = *self;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await;
            let addresses = found.map_err(|_| ResolveError::Unresolved)?.collect();
            Ok(guard.admit(addresses)?)
        })
    }
}

const LOOPBACK: &str = "it is a loopback address";

/// RFC 1918, the addresses behind carriers' translators (RFC 6598), and RFC 4193.
const PRIVATE: &str = "it is a private address";

fn refusal_v4(address: Ipv4Addr) -> Option<&'static str> {
    match address.octets() {
        // Linux takes 0.0.0.0 for loopback; RFC 1122, 3.2.1.3 knows the whole block as "this host".
        [0, ..] => Some("it is an unspecified address"),
        [127, ..] => Some(LOOPBACK),
        [169, 254, ..] => Some("it is a link-local address"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Some(PRIVATE),
        [224..=239, ..] | [255, 255, 255, 255] => Some("it is a multicast or broadcast address"),
        _ => None,
    }
}

fn refusal_v6(address: Ipv6Addr) -> Option<&'static str> {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some("it is an unspecified address"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some(LOOPBACK),
        [0xfe80..=0xfebf, ..] => Some("it is a link-local address"),
        [0xfc00..=0xfdff, ..] => Some(PRIVATE),
        [0xff00..=0xffff, ..] => Some("it is a multicast or broadcast address"),
        _ => embedded_v4(address).and_then(refusal_v4),
    }
}

/// The IPv4 address that a translator or a tunnel would take out of `address`.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        // IPv4-mapped ::ffff:0:0/96, IPv4-compatible ::/96 (RFC 4291, 2.5.5), IPv4-translated
        // ::ffff:0:0:0/96 (RFC 2765), NAT64 64:ff9b::/96 (RFC 6052) and 64:ff9b:1::/48 (RFC 8215).
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0 | 1, _, _, _, high, low] => Some(join(high, low)),
        // 6to4, RFC 3056.
        [0x2002, high, low, ..] => Some(join(high, low)),
        // Teredo, RFC 4380: the client's address with every bit turned.
        [0x2001, 0, .., high, low] => Some(join(!high, !low)),
        _ => None,
    }
}

fn join(high: u16, low: u16) -> Ipv4Addr {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Ipv4Addr::new(a, b, c, d)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(address: &str, allows_loopback: bool, expect: Option<&str>) {
        check_by(AddressGuard::new(allows_loopback), address, expect);
    }

    #[track_caller]
    fn check_by(guard: AddressGuard, address: &str, expect: Option<&str>) {
        let found = guard.refusal(address.parse().unwrap());
        match expect {
            Some(word) => assert!(found.is_some_and(|found| found.contains(word)), "{address}"),
            None => assert_eq!(found, None, "{address}"),
        }
    }

    #[test]
    fn rejects_addresses_of_this_machine_and_link() {
        for (address, word) in [
            ("127.0.0.1", "loopback"),
            ("127.255.255.255", "loopback"),
            ("0.0.0.0", "unspecified"),
            ("0.1.2.3", "unspecified"),
            ("169.254.169.254", "link-local"),
            ("224.0.0.1", "multicast"),
            ("239.255.255.255", "multicast"),
            ("255.255.255.255", "broadcast"),
            ("::", "unspecified"),
            ("::1", "loopback"),
            ("fe80::1", "link-local"),
            ("febf::1", "link-local"),
            ("ff02::1", "multicast"),
            ("::ffff:127.0.0.1", "loopback"),
            ("::ffff:169.254.169.254", "link-local"),
            ("::127.0.0.1", "loopback"),
            ("::ffff:0:127.0.0.1", "loopback"),
            ("64:ff9b::169.254.169.254", "link-local"),
            ("64:ff9b:1::127.0.0.1", "loopback"),
            ("2002:7f00:1::", "loopback"),
            ("2002:a9fe:a9fe::1", "link-local"),
            ("2001::80ff:fffe", "loopback"),
        ] {
            check(address, false, Some(word));
        }
    }

    #[test]
    fn accepts_neighbours_of_refused_ranges() {
        for address in [
            "1.0.0.0",
            "10.0.0.1",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "192.168.1.1",
            "223.255.255.255",
            "2606:4700::1111",
            "fd00::1",
            "fe7f::1",
            "fec0::1",
            "::ffff:10.0.0.1",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
        ] {
            check(address, false, None);
        }
    }

    #[test]
    fn private_addresses_pass_where_registries_may_live() {
        for address in [
            "10.0.0.0",
            "10.255.255.255",
            "172.16.0.0",
            "172.31.255.255",
            "192.168.0.0",
            "192.168.255.255",
            "100.64.0.0",
            "100.127.255.255",
            "fc00::",
            "fd00:ec2::254",
            "::ffff:10.0.0.1",
            "64:ff9b::192.168.0.1",
        ] {
            check(address, false, None);
            let guard = AddressGuard::new(true).without_private();
            check_by(guard, address, Some("private"));
        }
        for address in ["9.255.255.255", "11.0.0.0", "172.15.255.255", "172.32.0.0", "192.167.0.1"]
        {
            check_by(AddressGuard::new(false).without_private(), address, None);
        }
        for address in ["192.169.0.0", "100.63.255.255", "100.128.0.0", "fbff::", "fe00::"] {
            check_by(AddressGuard::new(false).without_private(), address, None);
        }
    }

    #[test]
    fn loopback_passes_where_allowed_and_nothing_else_does() {
        for address in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            check(address, true, None);
        }
        for address in ["0.0.0.0", "::", "169.254.169.254", "fe80::1"] {
            check(address, true, Some("it is"));
        }
    }

    #[test]
    fn rejects_names_of_this_machine() {
        for (name, expect) in [
            ("localhost", true),
            ("localhost.", true),
            ("a.localhost", true),
            ("localhost.example", false),
            ("alocalhost", false),
        ] {
            let refusal = |allows| AddressGuard::new(allows).refusal_of_name(name);
            assert_eq!(refusal(false).is_some(), expect, "{name}");
            assert_eq!(refusal(true), None, "{name}");
        }
    }

    #[test]
    fn rejects_a_name_with_one_bad_address_among_good_ones() {
        let guard = AddressGuard::new(false);
        let addresses = |texts: &[&str]| -> Vec<SocketAddr> {
            texts.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 0)).collect()
        };
        assert!(guard.admit(addresses(&["8.8.8.8", "10.0.0.1"])).is_ok());
        assert!(guard.admit(addresses(&["8.8.8.8", "127.0.0.1"])).is_err());
        assert!(guard.without_private().admit(addresses(&["8.8.8.8", "10.0.0.1"])).is_err());
        assert!(guard.admit(addresses(&[])).is_err());
    }
}
