//! What all runs have in common: data, code, environment, machine.

use std::collections::{BTreeMap, BTreeSet};

use lab_lineage::{Node, Role};
use lab_page::{Block, Inline};
use lab_schema::{Completeness, ContentId, Executor, Recipe, Run};

use super::{Subject, Told};
use crate::commands::why;
use crate::failure::Outcome;
use crate::resolve::names_of;
use crate::ui::{count, plain, shortened};

/// Most values of one thing, and most data, that are named.
const FEW: usize = 4;
const DATA: usize = 12;
/// Most runs, of those behind one, whose parameters are looked at: the nearest.
const BEHIND: usize = 200;
/// Most parameters that are named, and longest value of one, in characters.
const SETTINGS: usize = 80;
const VALUE: usize = 40;

impl Subject<'_> {
    pub(super) fn shared(&self, told: &[Told]) -> Outcome<Vec<Block>> {
        let mut facts = Vec::new();
        let mut counted: BTreeMap<ContentId, usize> = BTreeMap::new();
        for run in told {
            for data in self.lineage.sources(run.id)? {
                *counted.entry(data).or_default() += 1;
            }
        }
        let all = |times: usize| times == told.len();
        let (common, other): (Vec<_>, Vec<_>) = counted.into_iter().partition(|(_, n)| all(*n));
        for (content, _) in common.iter().take(DATA) {
            facts.push(("data".to_owned(), self.content(*content)?));
        }
        if common.len() > DATA {
            let more = format!("and {} more", common.len() - DATA);
            facts.push(("data".into(), vec![Inline::text(more)]));
        }
        if !other.is_empty() {
            let many = count(other.len() as u64, "other file");
            let text = format!("{many} that not all of them read");
            facts.push(("data".into(), vec![Inline::dim(text)]));
        }
        let code = |run: &Told| {
            let commit = run.run.git.as_ref().and_then(|git| git.commit.clone());
            let dirty = run.run.git.as_ref().map_or(0, |git| git.dirty.len());
            commit.map(|commit| match dirty {
                0 => commit,
                n => format!("{commit}, with {} not committed", count(n as u64, "file")),
            })
        };
        self.fact(&mut facts, "commit", told, code);
        self.fact(&mut facts, "code", told, |run| run.recipe.code().map(|id| id.to_string()));
        self.fact(&mut facts, "environment", told, |run| {
            run.recipe.environment().map(|id| id.to_string())
        });
        self.fact(&mut facts, "engine", told, |run| match run.recipe.executor() {
            Executor::Tensor(tensor) => Some(tensor.engine.to_string()),
            Executor::Command(_) => None,
        });
        let settings = self.settings(told)?;
        if !settings.is_empty() {
            let shown = settings.iter().take(SETTINGS).cloned().collect::<Vec<_>>().join(", ");
            let more = settings.len().saturating_sub(SETTINGS);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            facts.push(("settings".into(), vec![Inline::text(format!("{shown}{more}"))]));
        }
        self.fact(&mut facts, "machine", told, |run| {
            let cpu = &run.run.host.cpu;
            let cpu = if cpu.is_empty() { String::new() } else { format!(" ({cpu})") };
            Some(format!("{}{cpu}", why::machine(&run.run)))
        });
        self.fact(&mut facts, "record", told, |run| {
            Some(match &run.run.outcome.completeness {
                Completeness::Complete => "complete: names everything that was read".to_owned(),
                Completeness::Declared => {
                    "what was declared; nobody watched what else was read".to_owned()
                }
                Completeness::Incomplete(why) => format!("incomplete: {why}"),
            })
        });
        Ok(vec![Block::Facts(facts)])
    }

    /// The parameters that have the same value in all runs, those of the runs behind them too.
    fn settings(&self, told: &[Told]) -> Outcome<Vec<String>> {
        let mut counted: BTreeMap<String, usize> = BTreeMap::new();
        for run in told {
            let mut own: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            let behind = self.lineage.ancestors(Node::Run(run.id))?;
            let runs = [Node::Run(run.id)].into_iter().chain(behind.into_iter().rev());
            let runs = runs.filter_map(|node| match node {
                Node::Run(id) => Some(id),
                Node::Content(_) => None,
            });
            for id in runs.take(BEHIND) {
                let store = &self.registry.store;
                let Some(record) = store.get::<Run>(id)? else { continue };
                let Some(recipe) = store.get::<Recipe>(record.recipe)? else { continue };
                let stage = match recipe.executor() {
                    Executor::Tensor(tensor) => format!("{}.", tensor.stage),
                    Executor::Command(_) => String::new(),
                };
                for (name, value) in recipe.params().iter().chain(&record.outcome.params) {
                    let name = if name.starts_with(&stage) {
                        name.clone()
                    } else {
                        format!("{stage}{name}")
                    };
                    own.entry(name).or_default().insert(value.to_string());
                }
            }
            for (name, values) in own {
                if let [value] = values.iter().collect::<Vec<_>>()[..] {
                    let value = shortened(&plain(value), VALUE);
                    *counted.entry(format!("{}\u{a0}{value}", plain(&name))).or_default() += 1;
                }
            }
        }
        Ok(counted.into_iter().filter(|(_, n)| *n == told.len()).map(|(text, _)| text).collect())
    }

    /// A content by its name, or by how it was read, and its full hash.
    fn content(&self, content: ContentId) -> Outcome<Vec<Inline>> {
        let mut name = match names_of(&self.registry.store, content.into())?.first() {
            Some(name) => name.to_string(),
            None => String::new(),
        };
        if name.is_empty() {
            let readers = self.lineage.consumers(content)?;
            name = match readers.into_iter().next().map(|reader| reader.role) {
                Some(Role::Input(slot)) => slot.to_string(),
                Some(Role::Outside(path)) => format!("/{path}"),
                _ => String::new(),
            };
        }
        let gap = if name.is_empty() { "" } else { "  " };
        Ok(vec![Inline::strong(plain(&name)), Inline::text(gap), Inline::code(content.to_string())])
    }

    /// Something that is the same for all runs, or not.
    fn fact(
        &self,
        facts: &mut Vec<(String, Vec<Inline>)>,
        what: &str,
        told: &[Told],
        of: impl Fn(&Told) -> Option<String>,
    ) {
        let values: BTreeSet<String> = told.iter().filter_map(&of).collect();
        let few: Vec<String> = values.iter().take(FEW).map(|value| plain(value)).collect();
        let line = match few.as_slice() {
            [] => return,
            [one] if one.len() >= 40 && one.bytes().all(|b| b.is_ascii_hexdigit()) => {
                vec![Inline::code(one.clone())]
            }
            [one] => vec![Inline::text(one.clone())],
            few => {
                let more = values.len() - few.len();
                let more = if more > 0 { format!("; and {more} more") } else { String::new() };
                vec![
                    Inline::dim("not the same for all: "),
                    Inline::text(format!("{}{more}", few.join("; "))),
                ]
            }
        };
        facts.push((what.to_owned(), line));
    }
}
