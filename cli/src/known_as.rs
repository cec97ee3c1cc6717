//! The digest of another tool, to what was imported under it.
//!
//! A table of aliases may have come from somebody else, and a digest is typed by people who want to be sure:
//! so a file is read and seen to have it each time. A directory, a commit and a run of MLflow have a digest of
//! a list or a number, of which the bytes say nothing; there the word of who imported them counts, as it does
//! for names.

use lab_import::Verifier;
use lab_objects::{KnownAs, Store};
use lab_schema::{AliasPrefix, ObjectId, Scheme, Subject};

use crate::failure::{Exit, Failure, Outcome};

/// What was imported under a digest that starts so.
pub(crate) fn find(store: &Store, prefix: &AliasPrefix) -> Outcome<ObjectId> {
    let mut found = store.find_alias(prefix)?;
    let Some(known) = found.pop() else {
        return Err(Failure::not_found(format!("nothing was imported as {prefix}"))
            .hint("`lab import PATH` brings what DVC, git-lfs, Hugging Face or MLflow keep")
            .hint(format!("if a remote has it: `lab pull REMOTE {prefix}`")));
    };
    if !found.is_empty() {
        found.push(known);
        return Err(ambiguous(prefix, &found));
    }
    if let Subject::Blob(id) = known.subject {
        let size = store.size(id)?.unwrap_or(0);
        let check = |unix| -> Outcome<bool> {
            let mut verifier = Verifier::new(known.alias, size, unix);
            store.copy(id, &mut verifier)?;
            Ok(verifier.end().is_ok())
        };
        // What DVC before its version 3 called a text may be another digest.
        let may_be_old = known.alias.scheme() == Scheme::Md5 && known.from == "dvc";
        if !(check(false)? || may_be_old && check(true)?) {
            return Err(Failure::new(
                Exit::No,
                format!(
                    "{} is said to be {}, which has another digest",
                    known.alias, known.subject
                ),
            )
            .hint(format!("said by an import from {} ({})", known.from, known.origin)));
        }
    }
    Ok(known.subject.into())
}

fn ambiguous(prefix: &AliasPrefix, found: &[KnownAs]) -> Failure {
    let count = found.len();
    let mut failure = Failure::usage(format!("'{prefix}' may be {count} things"));
    for KnownAs { alias, subject, from, origin } in found.iter().take(10) {
        let id = &subject.digest().to_string()[..20];
        failure = failure.hint(format!("{alias}  {} {id}  {from} ({origin})", subject.kind()));
    }
    if count > 10 {
        failure = failure.hint(format!("… and {} more", count - 10));
    }
    failure.hint("type more digits, or the hash of what is meant")
}
