//! Stores in buckets, as locations know them.

use std::sync::Arc;

use lab_objects::{Backend, ObjectsError, Store};
use lab_web::{Bucket, BucketError};

use crate::answer::Opened;
use crate::error::{On, RemoteError, Result, Side};
use crate::far::Told;

/// The store in a bucket; if `make` is set, made there if nothing is under the prefix.
pub(crate) fn bucket(location: &str, make: bool, told: Told) -> Result<Opened> {
    let bucket = lab_web::connect(location, told).map_err(|error| {
        let location = without_secrets(location);
        match error {
            BucketError::BadLocation(why) => RemoteError::BadLocation { location, why },
            error => RemoteError::Settings { location, why: error.to_string() },
        }
    })?;
    let bucket = Arc::new(bucket);
    let (backend, path): (Arc<dyn Backend>, _) = (bucket.clone(), bucket.location().into());
    let (store, made) = match Store::open(Arc::clone(&backend)) {
        Ok(store) => (store, false),
        Err(ObjectsError::NotAStore { .. }) if !make => {
            return Err(RemoteError::NotAStore { path });
        }
        Err(ObjectsError::NotAStore { .. }) if !vacant(&bucket)? => {
            return Err(RemoteError::InTheWay { path });
        }
        Err(ObjectsError::NotAStore { .. }) => {
            (Store::create(Arc::clone(&backend)).on(Side::Remote)?, true)
        }
        Err(error) => return Err(unreachable(&bucket, error)),
    };
    Ok(Opened { backend, store, made, guard: None })
}

fn vacant(bucket: &Bucket) -> Result<bool> {
    bucket.is_vacant().map_err(|error| unreachable(bucket, error))
}

/// What is wrong with the way is told apart from what is wrong with the store.
fn unreachable(bucket: &Bucket, error: ObjectsError) -> RemoteError {
    match error {
        ObjectsError::Io { source, .. } => {
            RemoteError::Unreachable { location: bucket.location(), why: source.to_string() }
        }
        error => RemoteError::Store { side: Side::Remote, source: Box::new(error) },
    }
}

/// A location that may hold more than it should, as far as it can be shown.
pub(crate) fn without_secrets(location: &str) -> String {
    let Some((scheme, rest)) = location.split_once("://") else { return location.to_owned() };
    let (user, rest) = match rest.rsplit_once('@') {
        Some((_, rest)) => ("…@", rest),
        None => ("", rest),
    };
    match rest.split_once(['?', '#']) {
        Some((before, _)) => format!("{scheme}://{user}{before}…"),
        None => format!("{scheme}://{user}{rest}"),
    }
}
