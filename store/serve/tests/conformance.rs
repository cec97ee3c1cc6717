//! A store behind a server does what every backend does, as far as the server lets it.
#![allow(clippy::unwrap_used)]

mod kit;
#[path = "../../objects/tests/suite/mod.rs"]
mod suite;

use std::net::SocketAddr;
use std::sync::Arc;

use kit::{Fate, QUICK, Relay, Running, plain, url};
use lab_objects::{Backend, Key, Memory};
use lab_web::{Patience, Web};

/// By way of another address.
fn by(way: impl Fn(SocketAddr) -> SocketAddr) -> suite::Tried<'static> {
    let server = Running::new("");
    let url = url(way(server.address), &server.token);
    let come = move || {
        // Of many who ask at once one may have bad luck for a while.
        let patience = Patience { tries: 8, ..QUICK };
        Arc::new(Web::connect(&url, true, patience, Box::new(|_| {})).unwrap().0)
    };
    suite::guarded(&Arc::clone(&server.backend), come, Some(Box::new(server)))
}

/// What is not taken there lies there already.
#[test]
fn plain_web_servers_hand_out_parts_whether_they_know_of_them_or_not() {
    for knows_ranges in [true, false] {
        let behind = Arc::new(Memory::new());
        let url = plain(&behind, knows_ranges);
        let come = || Arc::new(Web::connect(&url, false, QUICK, Box::new(|_| {})).unwrap().0);
        behind.publish(&Key::Format, b"lab store 2\n").unwrap();
        suite::what_is_read_in_parts_is_what_is_there(&suite::fixed(&behind, come));
    }
}

conforms!(clear, _at => by(|server| server));
conforms!(broken, _at => by(|server| Relay::to(server, Fate::Broken(8)).address));
conforms!(doubled, _at => by(|server| Relay::to(server, Fate::Doubled(3)).address));
conforms!(crossed, _at => by(|server| Relay::to(server, Fate::Crossed(3)).address));
