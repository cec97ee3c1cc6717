//! What failed between two stores.

use lab_remote::{RemoteError, Side};

use super::{Exit, Failure};

impl From<RemoteError> for Failure {
    fn from(error: RemoteError) -> Self {
        let message = error.to_string();
        match error {
            RemoteError::Unreachable { ref location, .. } => {
                Failure::new(Exit::Io, message).hint(how_to_reach(location))
            }
            RemoteError::Settings { ref location, .. } => {
                Failure::usage(message).hint(how_to_reach(location))
            }
            RemoteError::Refused { .. } => Failure::new(Exit::Refused, message)
                .hint("who runs the server makes tokens with `lab token add`"),
            RemoteError::NotAStore { ref path } if is_bucket(&path.to_string_lossy()) => Failure::new(Exit::Io, message)
                .hint("is the prefix right? `lab push` makes a store where there is nothing"),
            RemoteError::InTheWay { ref path } if is_bucket(&path.to_string_lossy()) => Failure::new(Exit::Refused, message)
                .hint("name a prefix under which there is nothing: `s3://BUCKET/PREFIX`"),
            RemoteError::NotAStore { .. } => Failure::new(Exit::Io, message)
                .hint("is it mounted? `lab push` makes a store in a folder that is empty or absent"),
            RemoteError::InTheWay { .. } => Failure::new(Exit::Refused, message).hint("name an empty folder, or one that does not exist yet"),
            RemoteError::Unsupported { .. } => Failure::usage(message).hint("folders work, also on a mounted share, other machines by ssh (`ssh://HOST/PATH` or `HOST:PATH`), `https://HOST/PATH`, and buckets: `s3://`, `gs://` and `az://BUCKET/PREFIX`"),
            RemoteError::BadLocation { .. } => Failure::usage(message),
            RemoteError::NotFound { side: Side::Remote, .. } => Failure::not_found(message).hint("`lab -C REMOTE ls` lists what a folder remote has"),
            RemoteError::NotFound { .. } => Failure::not_found(message).hint("`lab ls` lists the names"),
            RemoteError::Ambiguous { ref candidates, .. } => {
                let mut failure = Failure::usage(message);
                for id in candidates.iter().take(10) {
                    failure = failure.hint(format!("{} {}", &id.digest().to_string()[..20], id.kind()));
                }
                failure.hint("type more digits")
            }
            RemoteError::Missing { .. } => Failure::not_found(message).hint("`lab check` there lists all that is missing, or left out: then `lab pull` there completes it, or `lab push --repair` from where it is whole"),
            RemoteError::Damaged { .. } => Failure::new(Exit::No, message).hint("`lab check` there lists all damage; nothing damaged was kept"),
            RemoteError::NameMoved { ref name, .. } => Failure::new(Exit::Refused, message)
                .hint(format!("look at theirs first: `lab pull REMOTE {name}`; `--force` moves the name over it"))
                .hint("no object is lost either way"),
            RemoteError::NameDiffers { ref name, .. } => Failure::new(Exit::Refused, message)
                .hint(format!("keep yours under another name first (`lab name OTHER {name}`), then `--force` takes theirs; no object is lost")),
            RemoteError::NotTaken { side: Side::Remote, ref id, .. } => Failure::new(Exit::Refused, message)
                .hint(format!("sign with a key that the allowed signers there name, then push again: `lab sign {}`; --deep signs all that it came from, too", id.short())),
            RemoteError::NotTaken { ref id, .. } => Failure::new(Exit::Refused, message)
                .hint(format!("whoever vouches for it signs it (`lab sign {}`) and pushes again, or your allowed signers have to name their key", id.short())),
            RemoteError::Store { side: Side::Local, source } => (*source).into(),
            RemoteError::Store { side: Side::Remote, source } => {
                let mut failure = Failure::from(*source);
                failure.message = Some(message);
                failure
            }
            _ => Failure::new(Exit::Io, message),
        }
    }
}

/// Whether a location is in a bucket.
fn is_bucket(location: &str) -> bool {
    ["s3://", "gs://", "az://"].iter().any(|scheme| location.starts_with(scheme))
}

/// What to look at when a location cannot be reached.
fn how_to_reach(location: &str) -> String {
    let read = match location.split_once(':').map(|(scheme, _)| scheme) {
        Some("s3") => {
            "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL, or a profile (AWS_PROFILE)"
        }
        Some("gs") => {
            "GOOGLE_APPLICATION_CREDENTIALS, or what `gcloud auth application-default login` left"
        }
        Some("az") => {
            "AZURE_STORAGE_ACCOUNT_NAME, and AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_KEY"
        }
        Some("http" | "https") => return format!("the same by hand: `curl {location}/format`"),
        _ => return "the same by hand: `ssh HOST lab --version`".to_owned(),
    };
    format!("what is read: {read}")
}
