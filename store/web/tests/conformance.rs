//! A bucket does what every backend does, whether it looks at conditions or not.
#![allow(clippy::unwrap_used)]

mod faulty;
#[path = "../../objects/tests/suite/mod.rs"]
mod suite;

use faulty::{Conditions, Faulty, bucket};

conforms!(conditional, _folder => bucket(&Faulty::new(Conditions::Kept)));
conforms!(unconditional, _folder => bucket(&Faulty::new(Conditions::Ignored)));
conforms!(half_conditional, _folder => bucket(&Faulty::new(Conditions::Half)));
conforms!(refusing, _folder => bucket(&Faulty::new(Conditions::Refused)));
