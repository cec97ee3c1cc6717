//! `lab cat`

use std::io::Write;
use std::ops::Range;

use lab_schema::{ObjectId, Signature};
use lab_trust::armoured;

use crate::context::Context;
use crate::failure::Outcome;
use crate::resolve::{blob, resolve};
use crate::ui;

/// Write a file's bytes to standard output, or a signature as ssh-keygen reads it
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// A file: a name or hash, RUN:OUTPUT or DIR/PATH
    #[arg(value_name = "REF")]
    reference: String,
    /// Only the bytes from A up to, not including, B
    #[arg(long, value_name = "A..B", value_parser = range)]
    bytes: Option<Range<u64>>,
}

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
    let mut out = std::io::stdout().lock();
    if let Some(range) = &args.bytes {
        let piece = registry.store.read_range(id, range.clone())?;
        ui::write_or_leave(&mut out, &piece);
        return Ok(());
    }
    registry.store.copy(id, &mut Out(out))?;
    Ok(())
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
