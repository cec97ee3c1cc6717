//! A bucket does what every backend does, whether it looks at conditions or not.
#![allow(clippy::unwrap_used)]

mod faulty;
#[path = "../../objects/tests/suite/mod.rs"]
mod suite;

use std::sync::Arc;

use faulty::{Conditions, Faulty, bucket};

fn of(conditions: Conditions) -> suite::Tried<'static> {
    let store = Faulty::new(conditions);
    suite::own(move || Arc::new(bucket(&store)))
}

conforms!(conditional, _at => of(Conditions::Kept));
conforms!(unconditional, _at => of(Conditions::Ignored));
conforms!(half_conditional, _at => of(Conditions::Half));
conforms!(refusing, _at => of(Conditions::Refused));
