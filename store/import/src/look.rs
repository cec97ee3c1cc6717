//! What a folder is, and what is in it.

use std::fs;
use std::path::Path;

use crate::error::{At, ImportError, Result};
use crate::found::{Found, Tool};
use crate::{dvc, hf, lfs, mlflow};

/// From what a folder can be imported; several where a project uses several.
pub fn recognise(top: &Path) -> Vec<Tool> {
    let is_here = |tool: &Tool| match tool {
        Tool::Dvc => dvc::is_here(top),
        Tool::Lfs => lfs::is_here(top),
        Tool::HuggingFace => hf::is_here(top),
        Tool::Mlflow => mlflow::is_here(top),
    };
    Tool::ALL.into_iter().filter(is_here).collect()
}

/// What can be imported from a folder. With `all`, also what its caches hold and nothing speaks of any more.
pub fn find(top: &Path, tool: Tool, all: bool) -> Result<Found> {
    let wanted = match tool {
        Tool::Dvc if !dvc::is_here(top) => "DVC project: it has no .dvc",
        _ if !top.is_dir() => "folder",
        _ => {
            // The link that a person types is followed, and none after that.
            let top = &fs::canonicalize(top).at("find", top)?;
            let found = match tool {
                Tool::Dvc => dvc::find(top, all),
                Tool::Lfs => lfs::find(top, all),
                Tool::HuggingFace => hf::find(top),
                Tool::Mlflow => mlflow::find(top),
            };
            return found.map(Found::complete);
        }
    };
    Err(ImportError::NotFound { path: top.to_owned(), wanted })
}
