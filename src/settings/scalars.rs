//! Settings that are one text: what each type accepts, in one place.

use super::{Node, Problems, Setting, Value};
use crate::domain::{Dialect, Money, Period, Ratio, Secret, Size, wall_clock};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::SystemTime;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A setting that is one text.
pub trait Scalar: Sized {
    /// What is expected, to complete "expected …" in messages.
    const FORM: &'static str;

    /// Whether a message may repeat a text that hasn't the form. Not where it may well hold a secret.
    const REPEATED: bool = true;

    /// The value of that text, if it has the form.
    fn parse(text: &str) -> Option<Self>;

    /// The text of that value; secrets masked.
    fn text(&self) -> String;
}

impl<T: Scalar> Setting for T {
    const FORM: &'static str = <T as Scalar>::FORM;

    fn read(node: &Node, problems: &mut Problems) -> Option<T> {
        let value = match &node.value {
            Value::Scalar { text, .. } => T::parse(text),
            _ => None,
        };
        if value.is_none() {
            let found = if T::REPEATED { node.describe() } else { node.kind().to_owned() };
            problems.unexpected(node, <T as Scalar>::FORM, &found);
        }
        value
    }

    fn write(&self) -> Node {
        Node::text(self.text())
    }
}

/// Implements [`Scalar`]: type, form, parser; the text is what `Display` prints.
macro_rules! scalars {
    ($($ty:ty: $form:expr, $parse:expr;)*) => {$(
        impl Scalar for $ty {
            const FORM: &'static str = $form;
            fn parse(text: &str) -> Option<$ty> {
                let parse: fn(&str) -> Option<$ty> = $parse;
                parse(text)
            }
            fn text(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

/// Digits only: Rust's own parser also takes a plus sign.
fn whole<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

const WHOLE: &str = "a whole number";

scalars! {
    bool: "true or false", |text| text.parse().ok();
    u16: WHOLE, whole;
    u32: WHOLE, whole;
    u64: WHOLE, whole;
    usize: WHOLE, whole;
    String: "a text", |text| Some(text.to_owned());
    Secret: "a text", |text| (!text.is_empty()).then(|| Secret::new(text));
    // Zero would be no time at all; a key for which it means "off" is an `OrOff`.
    Period: Period::FORM, |text| Period::parse(text).filter(|period| !period.is_zero());
    Size: Size::FORM, |text| Size::parse(text).filter(|size| size.bytes() > 0);
    Ratio: Ratio::FORM, |text| Ratio::new(text.parse().ok()?);
    Money: "an amount of dollars, such as 0.003 or 12", Money::parse;
    Dialect: "openai, anthropic or gemini", Dialect::from_name;
    IpAddr: "an IP address, such as 127.0.0.1, 0.0.0.0 or ::1", |text| text.parse().ok();
}

impl Scalar for PathBuf {
    const FORM: &'static str = "a path";

    fn parse(text: &str) -> Option<PathBuf> {
        (!text.is_empty()).then(|| PathBuf::from(text))
    }

    fn text(&self) -> String {
        self.display().to_string()
    }
}

/// A TCP port that can be listened on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port(pub u16);

impl Scalar for Port {
    const FORM: &'static str = "a port from 1 to 65535";

    fn parse(text: &str) -> Option<Port> {
        whole(text).filter(|port| *port > 0).map(Port)
    }

    fn text(&self) -> String {
        self.0.to_string()
    }
}

/// A setting for which `0` means off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrOff<T>(pub Option<T>);

impl<T: Copy> OrOff<T> {
    /// Switched on, with that value.
    pub const fn on(value: T) -> OrOff<T> {
        OrOff(Some(value))
    }

    /// Switched off.
    pub const fn off() -> OrOff<T> {
        OrOff(None)
    }

    /// The value, unless it is off.
    pub const fn get(&self) -> Option<T> {
        self.0
    }
}

impl Scalar for OrOff<Period> {
    const FORM: &'static str = "a whole number and a unit, such as 500ms, 10s, 5m, 2h or 30d, or 0 for off";

    fn parse(text: &str) -> Option<OrOff<Period>> {
        if text == "0" {
            return Some(OrOff(None));
        }
        Period::parse(text).map(|period| OrOff(Some(period).filter(|period| !period.is_zero())))
    }

    fn text(&self) -> String {
        self.0.map_or_else(|| "0".to_owned(), |period| period.to_string())
    }
}

/// A point in time, RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub SystemTime);

impl Scalar for Timestamp {
    const FORM: &'static str = "a time in the form 2026-12-31T23:59:59Z";

    fn parse(text: &str) -> Option<Timestamp> {
        let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        // Before 1970 it could only be a mistake, and not every SystemTime can hold it.
        (at.unix_timestamp() >= 0).then(|| Timestamp(at.into()))
    }

    fn text(&self) -> String {
        wall_clock::rfc3339(self.0)
    }
}

/// A block of addresses: `10.0.0.0/8`, `::1`, `192.168.1.7`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Where programs on this machine call from.
    pub const LOOPBACK: [Network; 2] = [
        Network { address: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), prefix: 8 },
        Network { address: IpAddr::V6(Ipv6Addr::LOCALHOST), prefix: 128 },
    ];

    /// The address block of that length; one longer than the address is the address itself.
    pub const fn new(address: IpAddr, prefix: u8) -> Network {
        Network { address, prefix }
    }

    /// Whether the address is one of the block. An IPv4 address in IPv6 clothes counts as what it is.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (ours, theirs) = (bits(self.address.to_canonical()), bits(address.to_canonical()));
        let host_bits = ours.1.saturating_sub(u32::from(self.prefix));
        ours.1 == theirs.1 && (ours.0 ^ theirs.0).checked_shr(host_bits).unwrap_or(0) == 0
    }
}

/// An address as a number, and how many bits it has.
fn bits(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()), u32::BITS),
        IpAddr::V6(v6) => (v6.to_bits(), u128::BITS),
    }
}

impl Scalar for Network {
    const FORM: &'static str = "an address or a block of addresses, such as 10.0.0.0/8 or ::1";

    fn parse(text: &str) -> Option<Network> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse().ok()?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Some(longest), whole)?;
        (prefix <= longest).then_some(Network { address, prefix })
    }

    fn text(&self) -> String {
        format!("{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(network: &str, address: &str) -> bool {
        Network::parse(network).unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn the_prefix_decides_what_is_in_a_network() {
        assert!(contains("10.0.0.0/8", "10.255.255.255"));
        assert!(!contains("10.0.0.0/8", "11.0.0.0"));
        assert!(contains("10.1.2.3/31", "10.1.2.2") && !contains("10.1.2.3/31", "10.1.2.4"));
        assert!(contains("192.0.2.7", "192.0.2.7") && !contains("192.0.2.7", "192.0.2.8"));
        assert!(contains("0.0.0.0/0", "203.0.113.9") && !contains("0.0.0.0/0", "2001:db8::1"));
        assert!(contains("fd00::/8", "fdff::1") && !contains("fd00::/8", "fe00::1"));
        assert!(contains("::/0", "2001:db8::1") && !contains("::/0", "10.0.0.1"));
    }

    #[test]
    fn an_ipv4_caller_on_an_ipv6_socket_is_an_ipv4_caller() {
        assert!(contains("127.0.0.0/8", "::ffff:127.0.0.1"));
        assert!(!contains("::/0", "::ffff:127.0.0.1"));
    }

    #[test]
    fn what_is_not_a_network_is_refused() {
        for text in
            ["", "10", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "10.0.0.0/8/8", "::/129", "localhost"]
        {
            assert_eq!(Network::parse(text), None, "{text}");
        }
    }
}
