//! Which addresses may be called: what keeps a URL from being a way into the machine or its neighbourhood.
//!
//! Pure functions. `resolver` asks them for every address of a name, `transport` for addresses that stand in a URL.
//! Sources of the ranges: the special-purpose registries of IANA and the documentation of cloud providers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use crate::auth::network::Network;

/// Which addresses may be called. The default is all but those that no application has.
#[derive(Debug, Clone, Default)]
pub struct AddressRules {
    /// Whether private networks and this machine are refused.
    pub refuse_private: bool,
    /// Networks that may be called whatever else is said.
    pub allowed: Vec<Network>,
}

/// How far an address reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// The internet.
    Public,
    /// This machine, or a network of its operator.
    Private,
    /// Nothing that could be an application: metadata of a cloud, a group of machines, an example.
    Never,
}

/// Metadata and platform services of clouds whose addresses are in a range that is fine otherwise.
const PLATFORM_V4: [Ipv4Addr; 2] = [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16)];
/// The same over IPv6. All of `fd00:ec2::/32` is such, see [`reach_v6`].
const PLATFORM_V6: [Ipv6Addr; 3] = [
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe),
    Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42),
];

impl AddressRules {
    /// Whether `address` may be called.
    pub fn permit(&self, address: IpAddr) -> bool {
        let inner = carried(address);
        let named = |address| self.allowed.iter().any(|network| network.contains(address));
        named(address)
            || named(inner)
            || match reach(inner) {
                Reach::Public => true,
                Reach::Private => !self.refuse_private,
                Reach::Never => false,
            }
    }
}

/// The address in a URL that has one instead of a name.
pub(super) fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(_) => None,
    }
}

/// The IPv4 address that an IPv6 address stands for, if it is one of those.
fn carried(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    let [a, b, c, d, e, f, g, h] = v6.segments();
    let v4 = |high: u16, low: u16| IpAddr::V4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    match [a, b, c, d, e, f] {
        // Mapped, translated (RFC 2765), the form that was given up, and the two prefixes of NAT64.
        [0, 0, 0, 0, 0, 0xffff] | [0, 0, 0, 0, 0xffff, 0] | [0x64, 0xff9b, 0, 0, 0, 0] => v4(g, h),
        [0, 0, 0, 0, 0, 0] if v6 != Ipv6Addr::LOCALHOST && v6 != Ipv6Addr::UNSPECIFIED => v4(g, h),
        [0x64, 0xff9b, 1, ..] => v4(g, h),
        // 6to4.
        [0x2002, high, low, ..] => v4(high, low),
        _ => address,
    }
}

fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(address) => reach_v4(address),
        IpAddr::V6(address) => reach_v6(address),
    }
}

fn reach_v4(address: Ipv4Addr) -> Reach {
    if PLATFORM_V4.contains(&address) || address.is_link_local() || address.is_documentation() {
        return Reach::Never;
    }
    match address.octets() {
        [0 | 224..=255, ..] | [192, 0, 0, _] | [192, 88, 99, _] => Reach::Never,
        [10 | 127, ..] | [172, 16..=31, ..] | [192, 168, ..] => Reach::Private,
        // Shared by customers of a provider, and networks for measurements.
        [100, 64..=127, ..] | [198, 18..=19, ..] => Reach::Private,
        _ => Reach::Public,
    }
}

fn reach_v6(address: Ipv6Addr) -> Reach {
    // One of these services hands out the credentials of a pod, not of the machine, at an address of its own.
    if PLATFORM_V6.contains(&address) || matches!(address.segments(), [0xfd00, 0xec2, ..]) {
        return Reach::Never;
    }
    if address == Ipv6Addr::LOCALHOST || address.is_unique_local() {
        return Reach::Private;
    }
    match address.segments() {
        // Protocol assignments with Teredo, and examples.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Reach::Never,
        [0x2000..=0x3fff, ..] => Reach::Public,
        // What was unique local before there was such a thing.
        [0xfec0..=0xfeff, ..] => Reach::Private,
        _ => Reach::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(refuse_private: bool, allowed: &[&str]) -> AddressRules {
        AddressRules { refuse_private, allowed: allowed.iter().map(|text| text.parse().unwrap()).collect() }
    }

    #[test]
    fn addresses_reach_as_far_as_their_range_says() {
        let check = |text: &str, expected| {
            assert_eq!(reach(carried(text.parse().unwrap())), expected, "{text}");
        };
        for public in ["8.8.8.8", "100.63.255.255", "172.32.0.1", "2606:4700::1111", "64:ff9b::808:808"] {
            check(public, Reach::Public);
        }
        for private in [
            "127.0.0.1",
            "127.9.9.9",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "198.18.0.1",
            "::1",
            "fd12::1",
            "fc00::1",
            "fec0::1",
            "::ffff:10.0.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b:1::10.0.0.1",
            "2002:7f00:1::1",
            "::10.0.0.1",
        ] {
            check(private, Reach::Private);
        }
        for never in [
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "169.254.0.1",
            "100.100.100.200",
            "192.0.0.192",
            "168.63.129.16",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "192.0.2.1",
            "198.51.100.1",
            "203.0.113.1",
            "::",
            "fe80::1",
            "febf::1",
            "ff02::1",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
            "fd00:c1::a9fe:a9fe",
            "fd00:42::42",
            "2001:db8::1",
            "2001::1",
            "3fff::1",
            "100::1",
            "4000::1",
            "::ffff:169.254.169.254",
            "::ffff:0:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "::169.254.169.254",
            "::ffff:0.0.0.0",
        ] {
            check(never, Reach::Never);
        }
    }

    #[test]
    fn private_addresses_are_refused_on_demand_and_an_allowed_network_wins() {
        let check = |rules: &AddressRules, address: &str, expected| {
            assert_eq!(rules.permit(address.parse().unwrap()), expected, "{rules:?} {address}");
        };
        let open = rules(false, &[]);
        check(&open, "127.0.0.1", true);
        check(&open, "8.8.8.8", true);
        check(&open, "169.254.169.254", false);
        let closed = rules(true, &[]);
        check(&closed, "10.0.0.1", false);
        check(&closed, "::ffff:10.0.0.1", false);
        check(&closed, "64:ff9b::10.0.0.1", false);
        check(&closed, "::1", false);
        check(&closed, "8.8.8.8", true);
        let named = rules(true, &["10.1.0.0/16", "169.254.0.0/16"]);
        check(&named, "10.1.2.3", true);
        check(&named, "64:ff9b::10.1.2.3", true);
        check(&named, "10.2.0.1", false);
        check(&named, "169.254.169.254", true);
    }
}
