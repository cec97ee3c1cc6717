//! A store behind a server does what every backend does, as far as the server lets it.
#![allow(clippy::unwrap_used)]

mod kit;
#[path = "../../objects/tests/suite/mod.rs"]
mod suite;

use std::sync::Arc;

use kit::{Proxy, QUICK, Running, Way, url};
use lab_web::Web;

fn by(way: Way) -> suite::Tried<'static> {
    let server = Running::new("");
    let url = url(Proxy::to(server.address, way).address, &server.token);
    let come = move || Arc::new(Web::connect(&url, true, QUICK, Box::new(|_| {})).unwrap().0);
    suite::guarded(&Arc::clone(&server.backend), come, Some(Box::new(server)))
}

conforms!(clear, _at => by(Way::Clear));
conforms!(ragged, _at => by(Way::Ragged));
