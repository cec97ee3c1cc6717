//! From what a person calls an object to the object, in either store.

use lab_objects::{KnownAs, Move, Store};
use lab_schema::{AliasPrefix, Base, IdPrefix, Name, ObjectId};

use crate::error::{On, RemoteError, Result, Side};

/// An object that was found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// The name that it was found under and the move that made it point there; none if it was
    /// found by its hash or as an earlier version, which say nothing about where a name is to be.
    pub(crate) name: Option<(Name, Move)>,
    /// The digest of another tool that it was found by.
    pub(crate) alias: Option<KnownAs>,
    /// The object.
    pub(crate) target: ObjectId,
}

impl Found {
    /// Whether the lineage says more of what it needs than its hashes do.
    pub(crate) fn has_history(&self) -> bool {
        self.target.content().is_none()
    }
}

/// Finds what `what` means in a store. A word that can be a name and a prefix is a name first.
pub(crate) fn resolve(side: Side, store: &Store, what: &Base) -> Result<Found> {
    let found = match what {
        Base::Name(name) => by_name(side, store, name)?,
        Base::Prefix(prefix) => by_prefix(side, store, prefix)?,
        Base::NameOrPrefix(name, prefix) => match by_name(side, store, name)? {
            Some(found) => Some(found),
            None => by_prefix(side, store, prefix)?,
        },
        Base::Version(name, n) => {
            let moved = store.names().version(name, *n).on(side)?;
            moved.and_then(|m| m.target).map(|target| Found { name: None, alias: None, target })
        }
        Base::Alias(prefix) => by_alias(side, store, prefix)?,
    };
    found.ok_or_else(|| RemoteError::NotFound { side, what: what.to_string() })
}

fn by_name(side: Side, store: &Store, name: &Name) -> Result<Option<Found>> {
    let last = store.names().get(name).on(side)?;
    Ok(last.and_then(|m| {
        let target = m.target?;
        Some(Found { name: Some((name.clone(), m)), alias: None, target })
    }))
}

fn by_prefix(side: Side, store: &Store, prefix: &IdPrefix) -> Result<Option<Found>> {
    let candidates = store.find(prefix).on(side)?;
    match candidates[..] {
        [] => Ok(None),
        [target] => Ok(Some(Found { name: None, alias: None, target })),
        _ => Err(RemoteError::Ambiguous { side, prefix: prefix.to_string(), candidates }),
    }
}

fn by_alias(side: Side, store: &Store, prefix: &AliasPrefix) -> Result<Option<Found>> {
    let mut found = store.find_alias(prefix).on(side)?;
    if found.len() > 1 {
        let candidates = found.iter().map(|known| known.subject.into()).collect();
        return Err(RemoteError::Ambiguous { side, prefix: prefix.to_string(), candidates });
    }
    Ok(found.pop().map(|known| {
        let target = known.subject.into();
        Found { name: None, alias: Some(known), target }
    }))
}
