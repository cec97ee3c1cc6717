//! `lab report`

mod answer;
mod plots;
mod runs;
mod shared;
mod again;

use lab_lineage::{Lineage, Node};
use lab_page::{Block, Figure, Inline, Page, Picture};
use lab_replay::{Guard, Meant, guard};
use lab_schema::RunId;
use serde_json::{Value, json};

use self::runs::Told;
use super::compare::{Asked, Finding, Gathered, Judged, Models, gather, judge};
use super::page;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::trust::Believed;
use crate::ui::{count, plain};
use crate::wiring::Registry;

/// Write a page on some runs, to be attached to a paper: what was asked, what follows, every run, and how to do it again
///
/// One HTML file that needs nothing else and runs nothing. With two REFs and more they are compared, as `lab compare`
/// does; if something else differs, the page says so first, and gives no verdict. It is written all the same, and the
/// exit code is 1, as that of `lab compare`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// A run, NAME@seeds, a pattern such as 'base.seed*', or several with commas between them; the first is what the
    /// others are compared with
    #[arg(value_name = "REF", required = true)]
    references: Vec<String>,
    #[command(flatten)]
    asked: Asked,
    /// What stands above the page [default: the question]
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    #[command(flatten)]
    target: page::Target,
}

/// Nodes of the picture of the lineage; with more, what is repeated is drawn once.
const NODES: usize = 24;
/// Widths of pictures, in CSS pixels: where there is room, and where there is not.
const WIDTHS: [f64; 2] = [700.0, 320.0];

/// All that a page is written from.
struct Subject<'a> {
    registry: &'a Registry,
    lineage: &'a Lineage,
    believed: Believed,
    args: &'a Args,
    gathered: Gathered,
    /// None of a single arm.
    judged: Option<Judged>,
    /// What differs within a single arm.
    within: Option<Guard>,
}

pub(super) fn run(context: &Context, args: &Args) -> Outcome {
    if args.target.output.is_none() {
        return Err(Failure::usage("a page has to go somewhere")
            .hint("`-o page.html` writes it to a file, `-o -` to standard output"));
    }
    let registry = context.registry()?;
    let lineage = registry.lineage()?;
    let typed: Vec<&str> = args.references.iter().map(String::as_str).collect();
    let gathered = gather(&registry.store, &lineage, &typed, &args.asked)?;
    for note in &gathered.notes {
        context.ui.note(note);
    }
    let (judged, within) = match gathered.arms.as_slice() {
        [one] => {
            // What a run that crashed did not come to is no difference.
            let ended = one.runs.iter().filter(|run| run.score.is_some());
            let runs: Vec<RunId> = ended.map(|run| run.id).collect();
            let meant = Meant::default();
            (None, Some(guard(&registry.store, &lineage, [&runs, &runs], &meant)?))
        }
        _ => (Some(judge(&registry.store, &lineage, &gathered, &args.asked)?), None),
    };
    let believed = Believed::here(context, &registry);
    let (registry, lineage) = (&registry, &lineage);
    let subject = Subject { registry, lineage, believed, args, gathered, judged, within };
    let told = subject.read()?;
    let page = subject.page(&told)?;
    let what = format!("a report on {}", count(told.len() as u64, "run"));
    let mut answer = page::written(context, registry, &args.target, (&what, &page.html()))?;
    let finding = subject.judged.as_ref().map(|judged| &judged.finding);
    let comparable = finding.map(|finding| matches!(finding, Finding::Judged { .. }));
    if comparable == Some(false) {
        context.ui.note("not comparable: the page says why, and gives no verdict");
    }
    answer["metric"] = json!(subject.gathered.metric);
    answer["arms"] = subject
        .gathered
        .arms
        .iter()
        .map(|arm| json!({ "label": arm.label, "runs": arm.runs.len() }))
        .collect();
    answer["comparable"] = json!(comparable);
    answer["verdicts"] = json!(subject.verdicts());
    if let Some(Finding::Judged { models, .. }) = finding {
        for note in models.iter().flatten().filter_map(Models::note) {
            context.ui.note(&note);
        }
        let json = |two: &Option<Models>| two.as_ref().map_or(Value::Null, Models::json);
        answer["models"] = models.iter().map(json).collect();
    }
    context.ui.answer(&answer);
    match comparable {
        Some(false) => Err(Failure::no()),
        _ => Ok(()),
    }
}

impl Subject<'_> {
    fn page(&self, told: &[Told]) -> Outcome<Page> {
        let question = self.question();
        let mut blocks = self.answer();
        blocks.extend(self.differences());
        blocks.push(self.strips());
        blocks.extend(self.models());
        blocks.extend(self.curves(told)?);
        blocks.push(Block::Heading("Every run".into()));
        blocks.push(Block::Table(self.table(told)));
        blocks.extend(self.differing());
        blocks.push(Block::Heading(match told.len() {
            1 => "What it used".into(),
            _ => "What all of them share".to_owned(),
        }));
        blocks.extend(self.shared(told)?);
        blocks.push(Block::Heading("Where it comes from".into()));
        blocks.push(self.drawn(told)?);
        blocks.push(Block::Heading("Do it again".into()));
        blocks.extend(self.again(told));
        Ok(Page {
            title: self.args.title.clone().unwrap_or_else(|| question.clone()),
            subtitle: self.subtitle(told),
            blocks,
            footer: vec![
                Inline::text(
                    "Every hash is the BLAKE3 of the bytes that it names: nothing behind it can have changed. This page needs \
                 nothing but itself, and runs nothing. Written by lab ",
                ),
                Inline::text(env!("CARGO_PKG_VERSION")),
                Inline::text("."),
            ],
        })
    }

    /// The lineage of all runs.
    fn drawn(&self, told: &[Told]) -> Outcome<Block> {
        let roots: Vec<Node> = told.iter().map(|run| Node::Run(run.id)).collect();
        let from = (&self.registry.store, self.lineage);
        let starts: Vec<_> = roots.iter().map(|root| (*root, None)).collect();
        let mut walk = page::walk(from, &starts, false)?;
        page::add_outputs(from, &roots, &mut walk)?;
        let metric = Some(self.gathered.metric.as_str());
        let among = told.iter().map(|run| (run.id, format!("arm {}", run.arm))).collect();
        let graph =
            page::graph(self.registry, self.lineage, &self.believed, &walk, (metric, &among))?;
        let title = format!("What leads to {}", self.named());
        let picture = Picture { title, most: NODES, width: WIDTHS[0] };
        let caption = "From the data to what the runs left. A tick: somebody did the run again and found the same bytes; a \
                       ring: nobody did, or not all of them; a cross: something else came out.";
        Ok(Block::Figure(Figure {
            wide: lab_page::draw(&graph, &picture),
            narrow: None,
            caption: vec![Inline::text(caption)],
        }))
    }

    /// The arms by name: `base`, `mine and other`.
    fn named(&self) -> String {
        let all: Vec<String> = self.gathered.arms.iter().map(|arm| arm.shown()).collect();
        listed(&all)
    }

    fn metric(&self) -> String {
        plain(&self.gathered.metric)
    }
}

/// `a`, `a and b`, `a, b and c`.
fn listed(all: &[String]) -> String {
    match all {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
