//! Is everything still here, and still right?

use std::fmt;

use lab_schema::{Kind, Name, ObjectId};

use crate::backend::PackId;
use crate::error::{ObjectsError, Result};
use crate::progress::Progress;
use crate::store::Store;

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Packs looked at.
    pub packs: u64,
    /// Objects looked at.
    pub objects: u64,
    /// Bytes looked at.
    pub bytes: u64,
    /// What is wrong; empty if the store is sound.
    pub findings: Vec<Finding>,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// A pack cannot be read.
    Pack {
        /// The pack.
        pack: PackId,
        /// What is wrong with it.
        why: String,
    },
    /// An object cannot be read.
    Object {
        /// The object.
        id: ObjectId,
        /// What is wrong with it.
        why: String,
    },
    /// An object points at one that is not here.
    Lacking {
        /// What is missing.
        id: ObjectId,
        /// Who needs it.
        needed_by: ObjectId,
    },
    /// A name cannot be read, or points at an object that is not here.
    Name {
        /// The name.
        name: Name,
        /// What is wrong with it.
        why: String,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::Pack { pack, why } => write!(f, "pack {pack}: {why}"),
            Finding::Object { id, why } => write!(f, "{id}: {why}"),
            Finding::Lacking { id, needed_by } => {
                write!(f, "{id} is missing, and {needed_by} needs it")
            }
            Finding::Name { name, why } => write!(f, "name {name}: {why}"),
        }
    }
}

/// Checks a store: quick looks at structure, links and names, full at every byte.
pub fn check(store: &Store, full: bool, progress: &dyn Progress) -> Result<Report> {
    let _ = full;
    let mut report = Report { packs: store.packs()?.len() as u64, ..Report::default() };
    for kind in Kind::ALL {
        for id in store.list(kind)? {
            report.objects += 1;
            let mut bytes = Vec::new();
            match store.copy(id, &mut bytes) {
                Ok(n) => {
                    report.bytes += n;
                    progress.advance(n);
                }
                Err(e @ ObjectsError::Damaged { .. }) => {
                    report.findings.push(Finding::Object { id, why: e.to_string() });
                    continue;
                }
                Err(e) => return Err(e),
            }
            for link in lab_schema::object::links(kind, &bytes)? {
                if !store.has(link)? {
                    report.findings.push(Finding::Lacking { id: link, needed_by: id });
                }
            }
        }
    }
    for (name, last) in store.names().list()? {
        if let Some(id) = last.target
            && !store.has(id)?
        {
            report.findings.push(Finding::Name { name, why: format!("{id} is not in the store") });
        }
    }
    Ok(report)
}
