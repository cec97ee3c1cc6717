//! Keys and whom to believe, as this registry has them set: `[user] signing-key` and `[trust]`.
//!
//! What is believed when something is shown is the user's own business, and the environment may say. What
//! a store demands of others stands in the store's own `config.toml`, and nobody who comes by gets a say.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lab_lineage::Lineage;
use lab_objects::Store;
use lab_remote::{Gate, Guard};
use lab_schema::{ObjectId, Signed};
use lab_trust::{Allowed, Judgement, Policy, Signer, judged};
use serde_json::{Value, json};

use crate::config::{Config, Require, file_named, file_of_environment};
use crate::context::{Context, now_ms};
use crate::failure::{Failure, Outcome, io_failure};
use crate::ui::{self, BAD, DIM, GOOD, paint};
use crate::wiring::{Registry, index_of, root_of};

/// More bytes than a file of allowed signers may have: what is longer says so itself.
const MAX_BYTES: u64 = (4 << 20) + 1;

/// Whom to believe when something is shown.
pub(crate) struct Believed {
    allowed: Allowed,
    /// Whether anybody cares: then what is not signed is said.
    pub cares: bool,
    now_ms: u64,
}

impl Believed {
    /// Whom this registry's user believes. What is wrong with the file is noted, and believes nobody.
    pub(crate) fn here(context: &Context, registry: &Registry) -> Believed {
        let trust = &registry.config.trust;
        let path = file_of_environment("LAB_ALLOWED_SIGNERS").map(|path| context.path(&path));
        let path = path.or_else(|| {
            trust.allowed_signers.as_ref().map(|text| file_named(registry.root(), text))
        });
        let cares =
            path.is_some() || trust.require.is_some() || key_path(context, registry).is_some();
        let allowed = match path.map(|path| (read(&path), path)) {
            None => Allowed::default(),
            Some((Ok(allowed), path)) => {
                for problem in allowed.problems() {
                    let (path, why) = (context.shown(&path), problem.why);
                    context.ui.note(match problem.line {
                        0 => format!("{path} allows nobody: {why}"),
                        line => format!("{path}, line {line} allows nobody: {why}"),
                    });
                }
                allowed
            }
            Some((Err(failure), _)) => {
                context.ui.note(format!(
                    "nobody is believed: {}",
                    failure.message().unwrap_or("the allowed signers cannot be read")
                ));
                Allowed::default()
            }
        };
        Believed { allowed, cares, now_ms: context.now_ms() }
    }

    /// All signatures of a run or an attestation, the good ones first.
    pub(crate) fn of(
        &self,
        registry: &Registry,
        lineage: &Lineage,
        of: Signed,
    ) -> Outcome<Vec<Judgement>> {
        Ok(judged(&registry.store, lineage, of, &self.allowed, self.now_ms)?)
    }

    /// Judges one signature.
    pub(crate) fn judge(&self, signature: &lab_schema::Signature) -> Judgement {
        lab_trust::judge(signature, &self.allowed, self.now_ms)
    }
}

/// A signature in a line, with what it is worth in its colour.
pub(crate) fn painted(judgement: &Judgement) -> String {
    match judgement.word() {
        "good" => paint(GOOD, judgement),
        "broken" => paint(BAD, judgement),
        _ => judgement.to_string(),
    }
}

/// All signatures of something in a few words: the best news, and bad news in any case.
pub(crate) fn summed(all: &[Judgement]) -> String {
    let mut parts = Vec::new();
    let mut who: Vec<String> = all.iter().flat_map(Judgement::principals).collect();
    who.dedup();
    if !who.is_empty() {
        parts.push(paint(GOOD, format!("signed by {}", who.join(" and "))));
    } else if let Some(other) = all.iter().find(|judgement| judgement.word() != "broken") {
        parts.push(other.to_string());
    }
    if all.iter().any(|judgement| judgement.word() == "broken") {
        parts.push(paint(BAD, "signature does not hold"));
    }
    if parts.is_empty() { paint(DIM, "not signed") } else { parts.join(", ") }
}

/// A signature for programs.
pub(crate) fn json_of(judgement: &Judgement) -> Value {
    json!({
        "id": judgement.id.to_string(), "standing": judgement.word(), "principals": judgement.principals(),
        "key": judgement.fingerprint, "key_kind": judgement.kind, "signed": ui::iso(judgement.signed_ms),
        "words": judgement.to_string(),
    })
}

/// The key to sign with, if one is set: where it is, not yet opened.
pub(crate) fn key_path(context: &Context, registry: &Registry) -> Option<PathBuf> {
    let path = file_of_environment("LAB_SIGNING_KEY").map(|path| match path.to_str() {
        Some(text) => file_named(&context.directory, text),
        None => context.path(&path),
    });
    let set = registry.config.user.signing_key.as_ref();
    path.or_else(|| set.map(|text| file_named(registry.root(), text)))
}

/// Signs and stores the signature. A file for ssh-keygen lies in the registry's scratch folder for a
/// moment.
pub(crate) fn sign(
    context: &Context,
    registry: &Registry,
    signer: &Signer,
    of: Signed,
) -> Outcome<lab_schema::Signature> {
    let signature = signer.sign(of, context.now_ms(), &registry.scratch()?)?;
    let mut writer = registry.store.writer();
    writer.put(&signature)?;
    writer.finish()?;
    Ok(signature)
}

/// Signs what was just recorded, if a key is set. What is recorded stays recorded if that fails: it is said,
/// with how to sign it later. For programs what came of it; null if no key is set.
pub(crate) fn sign_recorded(context: &Context, registry: &Registry, of: Signed) -> Value {
    let Some(path) = key_path(context, registry) else { return Value::Null };
    let opened = Signer::open(&path).map_err(Failure::from);
    match opened.and_then(|signer| sign(context, registry, &signer, of)) {
        Ok(signature) => {
            let key = lab_trust::fingerprint(signature.parts().key);
            json!({ "id": lab_schema::Object::id(&signature).to_string(), "key": key })
        }
        Err(failure) => {
            let (what, id) = match of {
                Signed::Run(id) => ("run", id.short()),
                Signed::Attestation(id) => ("attestation", id.short()),
            };
            let why = failure.message().unwrap_or_default().to_owned();
            ui::say(&format!(
                "{} {what} {id} is recorded, but not signed: {why}",
                paint(BAD, "warning:")
            ));
            let later = format!("`lab sign {id}` signs it later");
            for hint in failure.hints().iter().chain([&later]) {
                ui::say(&format!("{} {hint}", paint(DIM, "hint:")));
            }
            json!({ "error": why })
        }
    }
}

/// What this registry demands of what is pulled into it.
pub(crate) fn policy_here(registry: &Registry) -> Outcome<Option<Policy>> {
    policy(&registry.folder, &registry.config, file_named)
}

/// What the store in a folder demands of what others push to it. Whoever pushes has a home, and it is not
/// asked.
pub(crate) fn policy_of(folder: &Path) -> Outcome<Option<Policy>> {
    policy(folder, &Config::read(folder)?, |root, text| root.join(text))
}

fn policy(
    folder: &Path,
    config: &Config,
    named: impl Fn(&Path, &str) -> PathBuf,
) -> Outcome<Option<Policy>> {
    let Some(Require::Signed) = config.trust.require else { return Ok(None) };
    let Some(text) = &config.trust.allowed_signers else {
        return Err(Failure::usage(format!(
            "{} says [trust] require = \"signed\", and not by whom",
            Config::path(folder).display()
        ))
        .hint("`allowed-signers = \"FILE\"` in [trust] names the file that does, from the folder that people work in"));
    };
    let allowed = read(&named(root_of(folder), text))?;
    Ok(Some(Policy { allowed, now_ms }))
}

/// The same, to be asked whenever a client moves a name: it is read anew each time, since a server may run
/// for months. Where it cannot be told, no name moves, and the client hears why; what is there can be read
/// all the same.
pub(crate) fn guard(folder: &Path) -> Guard {
    Guard { gate: Arc::new(OfFolder(folder.to_owned())), index: Some(index_of(folder)) }
}

/// What the store in a folder demands, at the time of asking.
#[derive(Debug)]
struct OfFolder(PathBuf);

impl Gate for OfFolder {
    fn demands(&self) -> bool {
        !matches!(policy_of(&self.0), Ok(None))
    }

    fn refuses(
        &self,
        store: &Store,
        lineage: &Lineage,
        id: ObjectId,
    ) -> lab_lineage::Result<Option<String>> {
        match policy_of(&self.0) {
            Ok(None) => Ok(None),
            Ok(Some(policy)) => policy.refuses(store, lineage, id),
            Err(failure) => {
                let why = failure.message().unwrap_or_default();
                Ok(Some(format!("what may come in cannot be told there: {why}")))
            }
        }
    }
}

/// Reads a file of allowed signers.
fn read(path: &Path) -> Outcome<Allowed> {
    let failed = |error| io_failure("read the allowed signers in", path, &error);
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(MAX_BYTES).read_to_end(&mut bytes).map_err(failed)?;
    Ok(Allowed::parse(&bytes))
}
