//! Addresses of sockets, in words.

use std::collections::BTreeSet;
use std::fs;
use std::io;
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

/// Most addresses that are listed.
const MAX_PEERS: usize = 100_000;

/// Who was reached for.
#[derive(Default)]
pub(crate) struct Peers {
    reached: BTreeSet<String>,
    /// Addresses that the processes themselves have taken.
    own: BTreeSet<String>,
    /// Who took them.
    binders: BTreeSet<i32>,
}

impl Peers {
    /// A thread takes an address.
    pub(crate) fn take(&mut self, thread: i32, address: Option<String>) {
        self.own.extend(address);
        self.binders.insert(thread);
    }

    /// One reaches for an address.
    pub(crate) fn reach(&mut self, address: String) {
        if self.reached.len() < MAX_PEERS && !is_served_by(&address, &self.binders) {
            self.reached.insert(address);
        }
    }

    /// The addresses of others.
    pub(crate) fn others(mut self) -> BTreeSet<String> {
        self.reached.retain(|address| !self.own.contains(address));
        self.reached
    }
}

/// Whether one of `processes` listens at a loopback address, so that who connects to it reaches
/// nobody else. A process that binds to port 0 is given its port by the kernel: no call names it.
fn is_served_by(address: &str, processes: &BTreeSet<i32>) -> bool {
    let Ok(address) = address.parse::<SocketAddr>() else { return false };
    if !address.ip().is_loopback() {
        return false;
    }
    processes.iter().any(|process| {
        let listening = ["tcp", "tcp6"].into_iter().flat_map(|table| {
            let table = fs::read_to_string(format!("/proc/{process}/net/{table}"));
            listeners(&table.unwrap_or_default(), address.port())
        });
        let sockets: BTreeSet<String> = listening.collect();
        let held = |entry: io::Result<fs::DirEntry>| {
            let link = entry.ok()?.path().read_link().ok()?;
            Some(sockets.contains(link.to_str()?))
        };
        let descriptors = fs::read_dir(format!("/proc/{process}/fd"));
        !sockets.is_empty() && descriptors.is_ok_and(|mut all| all.any(|e| held(e) == Some(true)))
    })
}

/// The sockets, as links in `/proc/PID/fd` name them, that listen at `port` according to a table
/// in the form of `/proc/net/tcp` (proc_net_tcp in the kernel's documentation).
fn listeners(table: &str, port: u16) -> Vec<String> {
    const LISTEN: &str = "0A";
    let socket = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (_, local) = fields.get(1)?.rsplit_once(':')?;
        let here = u16::from_str_radix(local, 16).ok()? == port && *fields.get(3)? == LISTEN;
        here.then(|| format!("socket:[{}]", fields.get(9).unwrap_or(&"")))
    };
    table.lines().skip(1).filter_map(socket).collect()
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

    #[test]
    fn sockets_that_listen_are_found_in_the_table() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            \x20  0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0 100 0\n\
            \x20  1: 0100007F:1F90 0100007F:9C40 01 00000000:00000000 00:00000000 00000000  1000        0 4712 1 0 100 0\n\
            cut off";
        assert_eq!(listeners(table, 8080), ["socket:[4711]"]);
        assert!(listeners(table, 80).is_empty());
        let own = BTreeSet::from([std::process::id() as i32]);
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap().to_string();
        assert!(is_served_by(&address, &own));
        assert!(!is_served_by(&address, &BTreeSet::from([1])));
        drop(socket);
        assert!(!is_served_by(&address, &own) && !is_served_by("8.8.8.8:53", &own));
    }
}
