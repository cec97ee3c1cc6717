//! What was asked, and what follows.

use lab_page::{Block, Column, Inline, Table, Tone};
use lab_replay::{Difference, Guard};
use lab_statistics::{Comparison, Options};

use super::{Subject, Told, listed};
use crate::commands::compare::{
    Arm, Finding, Ruling, beaten, differing, estimated, looked, named, ruling, summed, tested,
    values, within,
};
use crate::commands::describe::number;
use crate::ui::{count, iso, plain};

/// Between a number and its unit.
const SPACE: char = '\u{a0}';

impl Subject<'_> {
    pub(super) fn question(&self) -> String {
        let metric = self.metric();
        match self.gathered.arms.as_slice() {
            [base, others @ ..] if !others.is_empty() => {
                let names: Vec<String> = others.iter().map(Arm::shown).collect();
                let does = if others.len() == 1 { "Does" } else { "Do" };
                format!("{does} {} do better than {} in {metric}?", listed(&names), base.shown())
            }
            _ => format!("{} in {metric}", self.named()),
        }
    }

    pub(super) fn subtitle(&self, told: &[Told]) -> Vec<Inline> {
        let day = |ms: u64| iso(ms).chars().take(10).collect::<String>();
        let times = || told.iter().map(|run| run.run.outcome.started_ms).filter(|ms| *ms > 0);
        let mut who: Vec<String> = told.iter().map(|run| plain(&run.run.who)).collect();
        who.sort();
        who.dedup();
        let mut parts = vec![count(told.len() as u64, "run")];
        if let Some((first, last)) = times().min().zip(times().max()) {
            let (first, last) = (day(first), day(last));
            parts.push(if first == last { first } else { format!("{first} to {last}") });
        }
        parts.push(match who.len() {
            0..=4 => format!("recorded by {}", listed(&who)),
            n => format!("recorded by {n} people"),
        });
        vec![Inline::text(parts.join(" · "))]
    }

    /// The verdict on each arm in a word, for programs.
    pub(super) fn verdicts(&self) -> Vec<String> {
        let Some(Finding::Judged { comparisons, .. }) = self.judged.as_ref().map(|j| &j.finding)
        else {
            return Vec::new();
        };
        let rulings = self.each(comparisons).map(|(pair, _, comparison)| {
            match ruling(comparison, pair, comparisons.len()) {
                Ruling::Found(Some(who), what) => format!("{who} {what}"),
                Ruling::Found(None, what) => what.to_owned(),
                Ruling::None(why) => why,
            }
        });
        rulings.collect()
    }

    /// Each arm that is compared, with the base, the guard, and what was found.
    pub(super) fn each<'a>(
        &'a self,
        comparisons: &'a [Comparison],
    ) -> impl Iterator<Item = ((&'a Arm, &'a Arm), &'a Guard, &'a Comparison)> {
        let guards = self.judged.as_ref().map_or(&[][..], |judged| &judged.guards);
        let base = self.gathered.arms.first();
        let others = self.gathered.arms.get(1..).unwrap_or_default();
        others
            .iter()
            .zip(guards)
            .zip(comparisons)
            .filter_map(move |((other, guard), found)| Some(((base?, other), guard, found)))
    }

    /// What stands first.
    pub(super) fn answer(&self) -> Vec<Block> {
        let Some(judged) = &self.judged else { return self.alone() };
        let mut blocks = match &judged.finding {
            Finding::Confounded => vec![self.confounded(&judged.guards)],
            Finding::Dependent(dependent) => {
                let text = vec![Inline::text(sentence(&dependent.words()))];
                vec![not_comparable(vec![Block::Paragraph(text)])]
            }
            Finding::Judged { options, comparisons, looks, .. } => {
                let mut blocks: Vec<Block> = Vec::new();
                for (pair, guard, comparison) in self.each(comparisons) {
                    blocks.push(verdict(pair, comparison, options, comparisons.len()));
                    blocks.push(facts(pair, guard, comparison, options));
                }
                if let Some(looks) = looks {
                    let text = sentence(&looked(*looks, &self.gathered.metric));
                    blocks.push(Block::Paragraph(vec![Inline::dim(text)]));
                }
                blocks
            }
        };
        blocks.extend(self.notes());
        blocks
    }

    /// What is said of a single arm.
    fn alone(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        if let [arm] = self.gathered.arms.as_slice() {
            let scores = arm.scores();
            let fold = |worse: fn(f64, f64) -> f64| scores.iter().copied().reduce(worse);
            let mut facts = vec![(self.metric(), summed(&scores))];
            if let Some((low, high)) = fold(f64::min).zip(fold(f64::max)).filter(|(l, h)| l < h) {
                let text = format!("{} to {}", number(low), number(high));
                facts.push(("from".into(), text));
            }
            let crashed = arm.runs.len() - scores.len();
            if crashed > 0 {
                facts.push(("without a score".into(), count(crashed as u64, "run")));
            }
            let fact = |(what, text): (String, String)| (what, vec![Inline::text(kept(&text))]);
            blocks.push(Block::Facts(facts.into_iter().map(fact).collect()));
        }
        blocks.extend(self.notes());
        let within = self.within.iter().flat_map(|guard| &guard.confounders);
        let differ: Vec<Vec<Inline>> = within
            .map(|difference| {
                let layer = difference.layer.word();
                vec![
                    Inline::text(format!("{layer} ")),
                    Inline::strong(plain(&difference.what)),
                    Inline::text(format!(": {}", every(&difference.values[0]))),
                ]
            })
            .collect();
        if !differ.is_empty() {
            let text = "These runs do not differ in their seeds alone:";
            let inner = vec![Block::Paragraph(vec![Inline::text(text)]), Block::List(differ)];
            blocks.push(Block::Notice(Tone::Bad, "Not runs of one method".into(), inner));
        }
        blocks
    }

    /// What was left out.
    fn notes(&self) -> Vec<Block> {
        let note = |note: &String| Block::Paragraph(vec![Inline::dim(sentence(note))]);
        self.gathered.notes.iter().map(note).collect()
    }

    /// What is said of single models, apart from what is said of the methods.
    pub(super) fn models(&self) -> Vec<Block> {
        let finding = self.judged.as_ref().map(|judged| &judged.finding);
        let Some(Finding::Judged { options, models, .. }) = finding else { return Vec::new() };
        let mut blocks = Vec::new();
        for (head, lines) in models.iter().flatten().filter_map(|two| two.words(options.level)) {
            if blocks.is_empty() {
                blocks.push(Block::Heading("Two models, example by example".into()));
            }
            blocks.push(Block::Paragraph(vec![Inline::text(sentence(&head))]));
            let line = |line: &String| vec![Inline::text(kept(&sentence(line)))];
            blocks.push(Block::List(lines.iter().map(line).collect()));
        }
        blocks
    }

    fn confounded(&self, guards: &[Guard]) -> Block {
        let mut blocks = Vec::new();
        let base = self.gathered.arms.first().map(Arm::shown).unwrap_or_default();
        let others = self.gathered.arms.get(1..).unwrap_or_default();
        for (other, guard) in others.iter().zip(guards).filter(|(_, guard)| !guard.holds()) {
            let other = other.shown();
            for name in &guard.unclear {
                let text = format!("“{}” could be more than one thing.", plain(name));
                blocks.push(Block::Paragraph(vec![Inline::text(text)]));
            }
            for name in &guard.absent {
                let text = format!(
                    "“{}” was to differ between {base} and {other}, and does not.",
                    plain(name)
                );
                blocks.push(Block::Paragraph(vec![Inline::text(text)]));
            }
            if guard.confounders.is_empty() {
                continue;
            }
            let besides = match guard.factors.is_empty() {
                true => "This differs".to_owned(),
                false => format!("Besides {}, this differs", named(&guard.factors)),
            };
            let text = format!(
                "{besides} between {base} and {other}. Whatever difference in {} there is, nobody can say what it comes from: \
                 no verdict is given.",
                self.metric()
            );
            blocks.push(Block::Paragraph(vec![Inline::text(text)]));
            let rows = guard.confounders.iter().map(|difference| row(difference, None)).collect();
            blocks.push(Block::Table(Table {
                caption: format!("What confounds {base} and {other}"),
                columns: columns(&base, &other, false),
                rows,
            }));
        }
        not_comparable(blocks)
    }

    /// Everything that differs between the arms, and what is made of it.
    pub(super) fn differing(&self) -> Vec<Block> {
        let Some(judged) = &self.judged else { return Vec::new() };
        let mut blocks = vec![Block::Heading("What differs".into())];
        let base = self.gathered.arms.first().map(Arm::shown).unwrap_or_default();
        let others = self.gathered.arms.get(1..).unwrap_or_default();
        for (other, guard) in others.iter().zip(&judged.guards) {
            let lists = [
                (&guard.factors, "factor"),
                (&guard.confounders, "confounder"),
                (&guard.allowed, "allowed"),
                (&guard.aside, "enters no result"),
            ];
            let rows: Vec<_> = lists
                .into_iter()
                .flat_map(|(list, role)| list.iter().map(move |one| row(one, Some(role))))
                .collect();
            let other = other.shown();
            blocks.push(match rows.is_empty() {
                true => {
                    let text = format!("Between {base} and {other} nothing differs but the seeds.");
                    Block::Paragraph(vec![Inline::text(text)])
                }
                false => Block::Table(Table {
                    caption: format!(
                        "Everything that differs between {base} and {other}, but for the seeds and for what follows from it"
                    ),
                    columns: columns(&base, &other, true),
                    rows,
                }),
            });
        }
        blocks
    }
}

fn not_comparable(inner: Vec<Block>) -> Block {
    Block::Notice(Tone::Bad, "Not comparable".into(), inner)
}

/// The verdict and why.
fn verdict(pair: (&Arm, &Arm), comparison: &Comparison, options: &Options, arms: usize) -> Block {
    let view = &comparison.completed;
    let (tone, head, words) = match ruling(comparison, pair, arms) {
        Ruling::Found(Some(who), what) => (Tone::Good, format!("{who} {what}"), String::new()),
        Ruling::Found(None, what) => (Tone::Good, sentence(what), String::new()),
        Ruling::None(why) => match why.split_once(": ") {
            Some((head, why)) => (Tone::Open, sentence(head), sentence(why)),
            None => (Tone::Open, sentence(&why), String::new()),
        },
    };
    let mut parts = Vec::new();
    if let Some((difference, interval)) = estimated(view) {
        let level = 100.0 * (1.0 - options.level);
        let interval = interval
            .map(|at| format!(" ({level}{SPACE}%{SPACE}interval {at})"))
            .unwrap_or_default();
        let (base, other) = (pair.0.shown(), pair.1.shown());
        parts.push(format!("Difference of the means, {other} less {base}: {difference}{interval}"));
    }
    parts.extend(tested(view));
    let found = if parts.is_empty() { String::new() } else { sentence(&parts.join("; ")) };
    let lines = [words, found].into_iter().filter(|line| !line.is_empty());
    let inner = lines.map(|line| Block::Paragraph(vec![Inline::text(kept(&line))])).collect();
    Block::Notice(tone, head.trim_end_matches('.').to_owned(), inner)
}

/// All that was found, a line each.
fn facts(pair: (&Arm, &Arm), guard: &Guard, comparison: &Comparison, options: &Options) -> Block {
    let view = &comparison.completed;
    let better = if options.higher_is_better { "a higher one" } else { "a lower one" };
    let mut facts = vec![("better is".to_owned(), better.to_owned())];
    facts.push(("differs".into(), bare(&differing(guard, &comparison.pairing))));
    for difference in &guard.allowed {
        let layer = difference.layer.word();
        let text = format!("{layer} {} ({})", plain(&difference.what), bare(&values(difference)));
        facts.push(("allowed".into(), text));
    }
    facts.extend(beaten(view, pair).map(|text| ("single runs".to_owned(), text)));
    facts.extend(within(view, options).map(|text| ("margin".to_owned(), text)));
    if let Some(least) = view.detectable {
        let least = crate::commands::compare::short(least);
        let power = 100.0 * options.power;
        let text = format!(
            "a true difference of {least} is shown in {power}{SPACE}% of cases by as many runs as these"
        );
        facts.push(("would be found".into(), text));
    }
    if let Some(counted) = &comparison.counted {
        let (a, b) = comparison.crashed;
        let crashed = count((a + b) as u64, "crashed run");
        let parts: Vec<String> = estimated(counted)
            .map(|(difference, interval)| match interval {
                Some(at) => format!("{difference} ({at})"),
                None => difference,
            })
            .into_iter()
            .chain(tested(counted))
            .collect();
        facts.push((format!("with {crashed} as the worst"), parts.join("; ")));
    }
    let fact = |(what, text): (String, String)| (what, vec![Inline::text(kept(&text))]);
    Block::Facts(facts.into_iter().map(fact).collect())
}

fn columns(base: &str, other: &str, with_role: bool) -> Vec<Column> {
    let role = with_role.then(|| Column::words("it is"));
    [Column::values("what"), Column::values(base), Column::values(other), Column::words("layer")]
        .into_iter()
        .chain(role)
        .collect()
}

fn row(difference: &Difference, role: Option<&str>) -> Vec<Vec<Inline>> {
    let [before, after] =
        difference.values.each_ref().map(|values| vec![Inline::code(every(values))]);
    let what = vec![Inline::text(plain(&difference.what))];
    let layer = vec![Inline::text(difference.layer.word())];
    let role = role.map(|role| vec![Inline::text(role)]);
    [what, before, after, layer].into_iter().chain(role).collect()
}

/// Distinct values, the first few.
fn every(values: &[Option<String>]) -> String {
    const FEW: usize = 4;
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "absent".to_owned());
    let mut text = values.iter().take(FEW).map(value).collect::<Vec<_>>().join(", ");
    if values.len() > FEW {
        text.push_str(&format!(" and {} more", values.len() - FEW));
    }
    text
}

/// Words that were meant for a terminal, without its colours.
fn bare(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

/// Numbers stay with what they belong to.
fn kept(text: &str) -> String {
    text.replace("p = ", "p\u{a0}=\u{a0}").replace(" %", "\u{a0}%").replace(" ± ", "\u{a0}±\u{a0}")
}

/// With a capital letter and a full stop.
pub(super) fn sentence(text: &str) -> String {
    let mut rest = text.chars();
    let Some(first) = rest.next() else { return String::new() };
    let end = if text.ends_with(['.', '?', '!', ':']) { "" } else { "." };
    first.to_uppercase().chain(rest).chain(end.chars()).collect()
}
