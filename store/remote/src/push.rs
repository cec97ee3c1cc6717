//! From this store to a remote.

use lab_lineage::{Choice, Lineage};
use lab_objects::{Progress, Store};
use lab_schema::Base;

use crate::error::{Result, Side};
use crate::exchange::{Deal, Exchange, Options};

/// Gives the remote everything that `what` needs, and then moves the names among it there. A name
/// that points at something on the remote that it never pointed at here is refused with
/// [`RemoteError::NameMoved`](crate::RemoteError::NameMoved), before anything is copied.
///
/// What is only promised here and lacking there is fetched first. `lineage` is that of `local`, and
/// fresh. A hash gives objects and moves no name; nor does an
/// earlier version of a name.
pub fn push(
    local: &Store,
    lineage: &Lineage,
    remote: &Store,
    what: &[Base],
    options: Options<'_>,
    progress: &dyn Progress,
) -> Result<Exchange> {
    let everything = Choice::default();
    let deal = deal(local, remote, options, &everything);
    deal.carry_out(deal.agree(deal.find(what)?, lineage, false)?, progress)
}

/// What [`push`] would do, and how many bytes that is. Refuses what it would refuse.
pub fn plan_push(
    local: &Store,
    lineage: &Lineage,
    remote: &Store,
    what: &[Base],
    options: Options<'_>,
) -> Result<Exchange> {
    let everything = Choice::default();
    let deal = deal(local, remote, options, &everything);
    deal.plan(deal.agree(deal.find(what)?, lineage, true)?)
}

fn deal<'a>(
    local: &'a Store,
    remote: &'a Store,
    options: Options<'a>,
    choice: &'a Choice,
) -> Deal<'a> {
    let (giver, taker) = ((local, Side::Local), (remote, Side::Remote));
    Deal { giver, taker, options, choice: (choice, "") }
}
