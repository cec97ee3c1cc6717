//! From a remote to this store.
//!
//! What belongs together is worked out from the remote's own objects, with a lineage in memory:
//! a remote keeps no index, and would not be believed if it did.

use lab_lineage::{Choice, Lineage, Skipped};
use lab_objects::{Progress, Store};
use lab_schema::Base;

use crate::error::{On, Result, Side};
use crate::exchange::{Agreed, Deal, Exchange, Options};
use crate::resolve::Found;

/// What of something is fetched.
#[derive(Clone, Copy, Debug)]
pub struct Selection<'a> {
    /// What is asked for.
    pub choice: &'a Choice,
    /// The location of the remote, which is noted with what is left there.
    pub from: &'a str,
}

/// Fetches everything that `what` needs, and then moves the names among it here. A name that
/// points at something here that it never pointed at on the remote is refused with
/// [`RemoteError::NameDiffers`](crate::RemoteError::NameDiffers), before anything is copied.
///
/// A hash, or an earlier version of a name, fetches objects and moves no name.
pub fn pull(
    local: &Store,
    remote: &Store,
    what: &[Base],
    options: Options<'_>,
    progress: &dyn Progress,
) -> Result<Exchange> {
    let selection = Selection { choice: &Choice::default(), from: "" };
    pull_part(local, remote, what, selection, options, progress)
}

/// The same of a part. What is not selected and not here is [promised](Store::promise).
pub fn pull_part(
    local: &Store,
    remote: &Store,
    what: &[Base],
    selection: Selection<'_>,
    options: Options<'_>,
    progress: &dyn Progress,
) -> Result<Exchange> {
    let deal = deal(local, remote, selection, options);
    let (agreed, skipped) = agree(&deal, what, false, progress)?;
    Ok(Exchange { skipped, ..deal.carry_out(agreed, progress)? })
}

/// What [`pull`] would do, and how many bytes that is. Refuses what it would refuse.
pub fn plan_pull(
    local: &Store,
    remote: &Store,
    what: &[Base],
    options: Options<'_>,
    progress: &dyn Progress,
) -> Result<Exchange> {
    let selection = Selection { choice: &Choice::default(), from: "" };
    plan_pull_part(local, remote, what, selection, options, progress)
}

/// What [`pull_part`] would do, and how many bytes that is. Refuses what it would refuse.
pub fn plan_pull_part(
    local: &Store,
    remote: &Store,
    what: &[Base],
    selection: Selection<'_>,
    options: Options<'_>,
    progress: &dyn Progress,
) -> Result<Exchange> {
    let deal = deal(local, remote, selection, options);
    let (agreed, skipped) = agree(&deal, what, true, progress)?;
    Ok(Exchange { skipped, ..deal.plan(agreed)? })
}

/// What has to move, and what the remote could not read of itself.
fn agree(
    deal: &Deal<'_>,
    what: &[Base],
    sorts: bool,
    progress: &dyn Progress,
) -> Result<(Agreed, Vec<Skipped>)> {
    let found = deal.find(what)?;
    let mut lineage = Lineage::in_memory().on(Side::Remote)?;
    let mut skipped = Vec::new();
    // Data alone has no history, and need not wait for that of everything else.
    if found.iter().any(Found::has_history) {
        progress.begin("reading the remote's history", None);
        let refreshed = lineage.refresh(deal.giver.0).on(Side::Remote);
        progress.end();
        skipped = refreshed?.skipped;
    }
    Ok((deal.agree(found, &lineage, sorts)?, skipped))
}

fn deal<'a>(
    local: &'a Store,
    remote: &'a Store,
    selection: Selection<'a>,
    options: Options<'a>,
) -> Deal<'a> {
    let choice = (selection.choice, selection.from);
    Deal { giver: (remote, Side::Remote), taker: (local, Side::Local), options, choice }
}
