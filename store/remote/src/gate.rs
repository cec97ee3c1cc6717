//! What a store demands of what comes to it.
//!
//! Whoever opens a store says what: here it is only asked, at the two places where something new would
//! count. On the near side of an exchange that is before anything moves, for every run in it. On the far
//! side it is when a name is to go on: what no name needs is nobody's, whoever sent it, and is collected.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use lab_lineage::Lineage;
use lab_objects::Store;
use lab_schema::ObjectId;

/// What a store demands.
pub trait Gate: fmt::Debug + Send + Sync {
    /// Whether anything is demanded at all; if not, nothing is looked up.
    fn demands(&self) -> bool {
        true
    }

    /// Why this may not come in; none if it may. `lineage` is that of `store`, which has the object and
    /// all that is to come with it, and is fresh.
    fn refuses(
        &self,
        store: &Store,
        lineage: &Lineage,
        id: ObjectId,
    ) -> lab_lineage::Result<Option<String>>;
}

/// What the far side demands, and where it keeps its lineage.
#[derive(Clone, Debug)]
pub struct Guard {
    /// What is demanded.
    pub gate: Arc<dyn Gate>,
    /// The file of the lineage index; none where none can be kept, which is slow in a large store.
    pub index: Option<PathBuf>,
}

impl Guard {
    /// Why one of these may not be under a name, and which.
    pub(crate) fn refuses(
        &self,
        store: &Store,
        targets: &[ObjectId],
    ) -> lab_lineage::Result<Option<String>> {
        if targets.is_empty() || !self.gate.demands() {
            return Ok(None);
        }
        let mut lineage = match &self.index {
            Some(path) => Lineage::open(path)?,
            None => Lineage::in_memory()?,
        };
        lineage.refresh(store)?;
        for id in targets {
            if let Some(why) = self.gate.refuses(store, &lineage, *id)? {
                return Ok(Some(format!("{} {} is not taken: {why}", id.kind(), id.short())));
            }
        }
        Ok(None)
    }
}
