//! `lab eval leaks`, and what it finds for a board

use lab_objects::Store;
use lab_overlap::{Examples, How, Options, Overlap, Reading, Verdict, examples, folder, overlap};
use lab_schema::{ContentId, Tree, TreeId};
use serde_json::{Value, json};

use crate::commands::describe::number;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::resolve::resolve;
use crate::ui::{BAD, DIM, GOOD, count, paint, plain};

/// Most bytes of a file that are looked through.
const MAX_BYTES: u64 = 2 << 30;
/// Most files of a folder.
const MAX_FILES: usize = 1 << 20;
/// Pairs that are shown.
const SHOWN: usize = 5;

/// Look for test examples among the training examples
///
/// Tables by rows, texts by lines or by a column, images: equal, and nearly equal texts and images. Rows that recur by
/// chance are told from copies: exit code 1 says that chance does not explain how many there are.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// What is trained on: a file, or a folder of images
    #[arg(value_name = "TRAIN")]
    train: String,
    /// What is tested on
    #[arg(value_name = "TEST")]
    test: String,
    /// Columns that do not count, such as an identifier or the label
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    leave_out: Vec<String>,
    /// The column whose texts are compared [default: text, if there is one]
    #[arg(long, value_name = "COLUMN", conflicts_with = "rows")]
    text: Option<String>,
    /// Compare whole rows, also of a table that has a column called text
    #[arg(long)]
    rows: bool,
    /// Look for what is equal alone
    #[arg(long)]
    exact: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Outcome {
    let registry = context.registry()?;
    let reading = Reading { text: args.text.clone(), rows: args.rows, ..Reading::default() };
    let mut sets = Vec::new();
    for typed in [&args.train, &args.test] {
        let resolved = resolve(&registry.store, typed)?;
        let name = resolved.leaf.clone().unwrap_or_else(|| typed.clone());
        let read = read(&registry.store, &name, resolved.content()?, &reading)?;
        sets.push(read.map_err(|error| Failure::usage(error.to_string()))?);
    }
    let options = Options { leave_out: args.leave_out.clone(), near: !args.exact };
    let found =
        overlap(&sets[0], &sets[1], &options).map_err(|error| Failure::usage(error.to_string()))?;
    tell(context, args, &found);
    context.ui.answer(&answer(&found));
    if found.verdict() == Verdict::Leak { Err(Failure::no()) } else { Ok(()) }
}

/// The examples in a content; why there are none, if that lies in it.
pub(in crate::commands) fn read(
    store: &Store,
    name: &str,
    content: ContentId,
    reading: &Reading,
) -> Outcome<lab_overlap::Result<Examples>> {
    match content {
        ContentId::Blob(blob) => {
            let bytes = store.read_blob(blob, MAX_BYTES)?;
            Ok(examples(name, &bytes, reading))
        }
        ContentId::Tree(tree) => {
            let files = files(store, tree)?;
            let mut failed = None;
            let read = files.into_iter().map_while(|(path, blob)| {
                match store.read_blob(blob, MAX_BYTES) {
                    Ok(bytes) => Some((path, bytes)),
                    Err(error) => {
                        failed = Some(error);
                        None
                    }
                }
            });
            let found = folder(name, read);
            match failed {
                Some(error) => Err(error.into()),
                None => Ok(found),
            }
        }
    }
}

/// The files of a folder, with their paths in it.
fn files(store: &Store, tree: TreeId) -> Outcome<Vec<(String, lab_schema::BlobId)>> {
    let (mut found, mut todo) = (Vec::new(), vec![(String::new(), tree)]);
    while let Some((above, tree)) = todo.pop() {
        for entry in store.load::<Tree>(tree)?.entries() {
            let path = format!("{above}{}", entry.name);
            match entry.node.content() {
                Some(ContentId::Blob(blob)) => found.push((path, blob)),
                Some(ContentId::Tree(tree)) => todo.push((format!("{path}/"), tree)),
                None => {}
            }
        }
        if found.len() > MAX_FILES {
            return Err(Failure::usage(format!("a folder of more than {MAX_FILES} files")));
        }
    }
    Ok(found)
}

/// What was found, in a sentence.
pub(in crate::commands) fn sentence(found: &Overlap) -> String {
    let (what, shared) = match &found.near {
        Some(near) if near.count > found.equal.count => ("are nearly or fully equal to", near),
        _ => ("are equal to", &found.equal),
    };
    if shared.count == 0 {
        return format!(
            "none of {} is among the training examples",
            count(found.test as u64, "test example")
        );
    }
    let judgement = &shared.judgement;
    // What recurs a great deal lies on both sides anyway; what tells then is what recurs a little.
    let is_more = shared.count as f64 > judgement.expected;
    let telling = judgement.classes.iter().min_by(|a, b| a.split.total_cmp(&b.split));
    let beside = match telling.filter(|_| !is_more && found.verdict() == Verdict::Leak) {
        Some(class) => format!(
            "of {} that are there {} times {} lie on both sides",
            class.groups, class.size, class.both
        ),
        None => format!("split at random, {} would be", number(judgement.expected)),
    };
    let of = count(found.test as u64, "test example");
    format!("{} of {of} {what} training examples; {beside}", shared.count)
}

fn tell(context: &Context, args: &Args, found: &Overlap) {
    let verdict = match found.verdict() {
        Verdict::Leak => paint(BAD, "leak"),
        Verdict::Chance => paint(GOOD, "chance"),
        Verdict::Apart => paint(GOOD, "apart"),
    };
    context.ui.line(format!("{verdict}  {}", sentence(found)));
    if !found.columns.is_empty() {
        let columns = plain(&found.columns.join(", "));
        context.ui.line(format!("  {}  {}", paint(DIM, "by"), crate::ui::shortened(&columns, 100)));
    }
    for pair in found.pairs.iter().take(SHOWN) {
        let how = match pair.how {
            How::Equal => "equal".to_owned(),
            How::Near(near) => format!("nearly ({near:.3})"),
        };
        context.ui.line(format!(
            "  {}: number {} of {} is number {} of {}",
            paint(DIM, how),
            pair.test + 1,
            plain(&args.test),
            pair.train + 1,
            plain(&args.train)
        ));
    }
    let all = found.near.as_ref().map_or(found.equal.count, |near| near.count);
    if all > SHOWN.min(found.pairs.len()) {
        context.ui.line(format!("  and {} more", all - SHOWN.min(found.pairs.len())));
    }
    if found.verdict() == Verdict::Leak {
        context.ui.hint("train on what is left when these are taken away, or split by groups that belong together");
    }
}

/// What was found, for programs.
pub(in crate::commands) fn answer(found: &Overlap) -> Value {
    let shared = |shared: &lab_overlap::Shared| {
        json!({
            "count": shared.count, "expected": shared.judgement.expected,
            "p_split": shared.judgement.split, "p_any": shared.judgement.any,
            "verdict": word(shared.judgement.verdict),
        })
    };
    json!({
        "verdict": word(found.verdict()), "train": found.train, "test": found.test,
        "columns": found.columns, "equal": shared(&found.equal), "near": found.near.as_ref().map(shared),
        "pairs": found.pairs.iter().map(|pair| json!({
            "test": pair.test, "train": pair.train,
            "similarity": match pair.how { How::Equal => 1.0, How::Near(near) => near },
            "equal": pair.how == How::Equal,
        })).collect::<Vec<_>>(),
    })
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Leak => "leak",
        Verdict::Chance => "chance",
        Verdict::Apart => "apart",
    }
}
