//! `lab cat`

use std::io::Write;
use std::ops::Range;

use lab_objects::{Store, Tensor};
use lab_schema::{BlobId, ObjectId, Signature};
use lab_trust::armoured;
use serde_json::json;

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::resolve::{blob, closest, resolve};
use crate::ui;

/// Write a file's bytes to standard output, or a signature as ssh-keygen reads it
///
/// Of a file that a pull left out, only what --bytes or --tensor ask for is fetched; it is not kept.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// A file: a name or hash, RUN:OUTPUT or DIR/PATH
    #[arg(value_name = "REF")]
    reference: String,
    /// Only the bytes from A up to, not including, B
    #[arg(long, value_name = "A..B", value_parser = range)]
    bytes: Option<Range<u64>>,
    /// Only this tensor of a safetensors file: its elements, little-endian, in the order of the file; its
    /// type and shape go to standard error
    #[arg(long, value_name = "NAME", conflicts_with = "bytes")]
    tensor: Option<String>,
}

/// Most bytes that are read of a part at once.
const AT_ONCE: u64 = 16 << 20;

fn range(text: &str) -> Result<Range<u64>, String> {
    let parts = text.split_once("..").and_then(|(a, b)| Some(a.parse().ok()?..b.parse().ok()?));
    parts
        .filter(|r: &Range<u64>| r.start <= r.end)
        .ok_or_else(|| "two numbers are needed, as in 0..1024".to_owned())
}

pub(super) fn run(context: &Context, args: &Args) -> Outcome {
    let registry = context.registry()?;
    let resolved = resolve(&registry.store, &args.reference)?;
    if let ObjectId::Run(_) = resolved.id {
        resolved.content()?;
    }
    if let ObjectId::Signature(id) = resolved.id {
        // As ssh-keygen reads it.
        let signature: Signature = registry.store.load(id)?;
        let text = armoured(signature.sshsig());
        ui::write_or_leave(&mut std::io::stdout().lock(), text.as_bytes());
        return Ok(());
    }
    let id = blob(&resolved)?;
    let store = &registry.store;
    if let Some(name) = &args.tensor {
        let tensor = tensor(store, id, &args.reference, name)?;
        tell(context, &tensor);
        return part(store, id, tensor.region.start..tensor.region.end);
    }
    if let Some(range) = &args.bytes {
        return part(store, id, range.clone());
    }
    store.copy(id, &mut Out(std::io::stdout().lock()))?;
    Ok(())
}

/// Writes a part, piece by piece; the first read refuses one that is not inside the file.
fn part(store: &Store, id: BlobId, range: Range<u64>) -> Outcome {
    store.read_range(id, range.end..range.end)?;
    let mut out = std::io::stdout().lock();
    let mut at = range.start;
    while at < range.end {
        let end = range.end.min(at.saturating_add(AT_ONCE));
        ui::write_or_leave(&mut out, &store.read_range(id, at..end)?);
        at = end;
    }
    Ok(())
}

fn tensor(store: &Store, id: BlobId, reference: &str, name: &str) -> Outcome<Tensor> {
    let Some(tensors) = store.tensors(id)? else {
        return Err(Failure::usage(format!("'{reference}' is no safetensors file"))
            .hint("`lab cat REF --bytes A..B` reads a part of any file"));
    };
    if let Some(found) = tensors.iter().find(|tensor| tensor.region.name == name) {
        return Ok(found.clone());
    }
    let failure = Failure::not_found(format!("'{reference}' has no tensor '{name}'"));
    let known: Vec<&str> = tensors.iter().map(|tensor| tensor.region.name.as_str()).collect();
    Err(match closest(name, known.iter().copied()) {
        Some(near) => failure.hint(format!("did you mean `{}`?", near.escape_debug())),
        None => {
            let first: Vec<String> =
                known.iter().take(8).map(|name| name.escape_debug().to_string()).collect();
            let more = if known.len() > first.len() { ", …" } else { "" };
            failure.hint(format!(
                "it has {}: {}{more}",
                ui::count(known.len() as u64, "tensor"),
                first.join(", ")
            ))
        }
    })
}

/// What the bytes on standard output are.
fn tell(context: &Context, tensor: &Tensor) {
    let Tensor { region, dtype, shape } = tensor;
    if context.ui.json {
        let told = json!({
            "tensor": region.name, "dtype": dtype, "shape": shape, "start": region.start, "end": region.end,
        });
        ui::say(&told.to_string());
    } else {
        context.ui.note(format!(
            "{} {} {shape:?}, {}",
            region.name.escape_debug(),
            dtype.escape_debug(),
            ui::bytes(region.end - region.start)
        ));
    }
}

/// Standard output; a reader that goes away ends the program with 0.
struct Out(std::io::StdoutLock<'static>);

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        ui::write_or_leave(&mut self.0, bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
