//! `lab sign`

use std::path::PathBuf;

use lab_lineage::{Lineage, closure};
use lab_schema::{ObjectId, Signature, Signed};
use lab_trust::{Signer, fingerprint};
use serde_json::{Value, json};

use crate::config::Config;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::resolve::resolve;
use crate::trust;
use crate::ui::{self, HASH, paint};
use crate::wiring::Registry;

/// Vouch for runs or attestations with your SSH key
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Runs or attestations
    #[arg(value_name = "REF", required = true)]
    references: Vec<String>,
    /// The runs that they came from, too
    #[arg(short, long)]
    deep: bool,
    /// The key: a private one, or the .pub of one that the agent has [default: the signing-key in config.toml]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

pub(super) fn run(context: &Context, args: &Args) -> Outcome {
    let registry = context.registry_to_write()?;
    let lineage = registry.lineage()?;
    let path = args.key.as_ref().map(|path| context.path(path));
    let path = path.or_else(|| trust::key_path(context, &registry)).ok_or_else(|| {
        let file = Config::path(&registry.folder);
        Failure::usage("there is no key to sign with").hint(format!(
            "`signing-key = \"~/.ssh/id_ed25519\"` in [user] of {}, LAB_SIGNING_KEY or --key names one",
            context.shown(&file)
        ))
    })?;
    let signer = Signer::open(&path)?;
    let all = wanted(&registry, &lineage, args)?;
    registry.store.rescue(&all.iter().map(|of| (*of).into()).collect::<Vec<_>>())?;
    let mut answers = Vec::new();
    for of in all {
        let (id, earlier) = (ObjectId::from(of), earlier(&registry, &lineage, &signer, of)?);
        let (signature, again) = match earlier {
            Some(signature) => (signature, true),
            None => (trust::sign(context, &registry, &signer, of)?, false),
        };
        let key = fingerprint(signature.parts().key);
        context.ui.line(format!(
            "{}  {}   {} with {key}",
            paint(HASH, id.short()),
            id.kind(),
            if again { "is signed already" } else { "signed" },
        ));
        answers.push(json!({
            "of": id.digest().to_string(), "object": id.kind().as_str(), "key": key, "already": again,
            "signature": lab_schema::Object::id(&signature).to_string(),
        }));
    }
    context.ui.answer(&Value::Array(answers));
    Ok(())
}

/// What is to be signed, each once.
fn wanted(registry: &Registry, lineage: &Lineage, args: &Args) -> Outcome<Vec<Signed>> {
    let mut all: Vec<Signed> = Vec::new();
    for typed in &args.references {
        let id = resolve(&registry.store, typed)?.id;
        let of = match id {
            ObjectId::Run(id) => Signed::Run(id),
            ObjectId::Attestation(id) => Signed::Attestation(id),
            other => {
                return Err(Failure::usage(format!(
                    "'{typed}' is {}: runs and attestations are signed",
                    ui::a(other.kind())
                ))
                .hint(format!("`lab why {typed}` names the run that made it")));
            }
        };
        if args.deep {
            let objects = closure(&registry.store, lineage, &[id])?.objects;
            all.extend(objects.into_iter().filter_map(|id| match id {
                ObjectId::Run(id) => Some(Signed::Run(id)),
                _ => None,
            }));
        }
        all.push(of);
    }
    let mut seen = std::collections::BTreeSet::new();
    all.retain(|of| seen.insert(*of));
    Ok(all)
}

/// The signature that this key has made of it before, and that holds.
fn earlier(
    registry: &Registry,
    lineage: &Lineage,
    signer: &Signer,
    of: Signed,
) -> Outcome<Option<Signature>> {
    let Some(key) = signer.public() else { return Ok(None) };
    for id in lineage.signatures_of(of)? {
        let signature: Signature = registry.store.load(id)?;
        let holds = || !matches!(lab_trust::holds(&signature), lab_trust::Holds::No(_));
        if signature.parts().key == key && signature.of() == of && holds() {
            return Ok(Some(signature));
        }
    }
    Ok(None)
}
