//! Addresses of sockets, in words.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// Most bytes that an address has (`sockaddr_storage`).
pub(crate) const MAX_ADDRESS: usize = 128;

/// What a socket address says; none if it is not one, or means "no address".
pub(crate) fn describe(address: &[u8]) -> Option<String> {
    let (family, rest) = address.split_at_checked(2)?;
    let family = i32::from(u16::from_le_bytes(family.try_into().ok()?));
    let port = || Some(u16::from_be_bytes(rest.get(..2)?.try_into().ok()?));
    match family {
        libc::AF_UNSPEC => None,
        libc::AF_UNIX => {
            let end = match rest.first()? {
                // An abstract name may hold anything; its length is that of the address.
                0 => rest.len(),
                _ => rest.iter().position(|b| *b == 0).unwrap_or(rest.len()),
            };
            Some(format!("unix:{}", String::from_utf8_lossy(&rest[..end]).escape_debug()))
        }
        libc::AF_INET => {
            let ip: [u8; 4] = rest.get(2..6)?.try_into().ok()?;
            Some(SocketAddr::from((Ipv4Addr::from(ip), port()?)).to_string())
        }
        libc::AF_INET6 => {
            let ip: [u8; 16] = rest.get(6..22)?.try_into().ok()?;
            Some(SocketAddr::from((Ipv6Addr::from(ip), port()?)).to_string())
        }
        // How the C library asks the kernel which addresses the machine has.
        libc::AF_NETLINK => Some("kernel (netlink)".to_owned()),
        other => Some(format!("address family {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told() {
        let v4 = [2, 0, 0, 80, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(describe(&v4).unwrap(), "127.0.0.1:80");
        let mut v6 = vec![10, 0, 1, 187, 0, 0, 0, 0];
        v6.extend([0; 15]);
        v6.extend([1, 0, 0, 0, 0]);
        assert_eq!(describe(&v6).unwrap(), "[::1]:443");
        assert_eq!(describe(b"\x01\x00/run/x\x00junk").unwrap(), "unix:/run/x");
        assert_eq!(describe(b"\x01\x00\x00ab").unwrap(), "unix:\\0ab");
        for nothing in [&b""[..], b"\x02", b"\x02\x00", b"\x00\x00xx", b"\x01\x00"] {
            assert_eq!(describe(nothing), None);
        }
    }
}
