//! Which runs `lab log` shows.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};
use std::ops;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use lab_lineage::{Lineage, RunRow};
use lab_schema::RunId;

use super::given::Given;
use super::record;
use crate::failure::Outcome;
use crate::resolve::closest;
use crate::wiring::Registry;
use crate::{times, ui};

/// Most words that are named to somebody who typed another one.
const NAMED: usize = 20;

/// What a run has to fit.
#[derive(clap::Args, Debug, Default)]
pub(super) struct Filter {
    /// Only runs with this parameter, given or found, as in lr=0.1; all of several
    #[arg(long = "param", value_name = "KEY=VALUE", conflicts_with = "name")]
    params: Vec<String>,
    /// Only runs that reached this, as in 'accuracy>0.97' (also >=, <, <=, =); all of several
    #[arg(long = "metric", value_name = "NAME>X", value_parser = bound, conflicts_with = "name")]
    metrics: Vec<Bound>,
    /// Only runs of this person
    #[arg(long, value_name = "WHO", conflicts_with = "name")]
    by: Option<String>,
    /// Only runs since then: 2h or 14d ago, or a day as in 2026-11-30 (in UTC)
    #[arg(long, value_name = "TIME", value_parser = since, conflicts_with = "name")]
    since: Option<Since>,
}

/// Runs that fit.
pub(super) struct Found {
    /// The last of them, the latest first.
    pub(super) runs: Vec<RunRow>,
    /// How many there are.
    pub(super) number: u64,
    /// Whether the parameters are those of runs that these stand on.
    by_lineage: bool,
}

impl Found {
    /// These, of so many, by themselves.
    pub(super) fn all(runs: Vec<RunRow>, number: u64) -> Found {
        Found { runs, number, by_lineage: false }
    }
}

/// What a number has to be.
#[derive(Clone, Debug, PartialEq)]
struct Bound {
    metric: String,
    is: Is,
    than: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Is {
    Above,
    AtLeast,
    Below,
    AtMost,
    Just,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    Ago(Duration),
    /// In milliseconds since 1970.
    At(u64),
}

fn bound(text: &str) -> Result<Bound, String> {
    let bad = || format!("'{text}' is no bound: a name, >, >=, <, <= or =, and a number");
    let at = text.find(['<', '>', '=']).ok_or_else(bad)?;
    let (metric, rest) = (text[..at].trim(), &text[at..]);
    let words = [
        (">=", Is::AtLeast),
        ("<=", Is::AtMost),
        (">", Is::Above),
        ("<", Is::Below),
        ("=", Is::Just),
    ];
    let found = words.into_iter().find_map(|(word, is)| Some((is, rest.strip_prefix(word)?)));
    let (is, number) = found.ok_or_else(bad)?;
    let than: f64 = number.trim().parse().map_err(|_| bad())?;
    if metric.is_empty() || than.is_nan() {
        return Err(bad());
    }
    Ok(Bound { metric: metric.to_owned(), is, than })
}

fn since(text: &str) -> Result<Since, String> {
    let bad =
        || format!("'{text}' is no time: 2h or 14d ago is meant, or a day such as 2026-11-30");
    if let Ok(ago) = times::duration(text) {
        return Ok(Since::Ago(ago));
    }
    let time = match text.parse::<Date>() {
        Ok(day) => TimeZone::UTC.to_timestamp(day.at(0, 0, 0, 0)).map_err(|_| bad())?,
        Err(_) => text.parse::<Timestamp>().map_err(|_| bad())?,
    };
    u64::try_from(time.as_millisecond()).map(Since::At).map_err(|_| bad())
}

impl Bound {
    /// The numbers that fit.
    fn range(&self) -> lab_lineage::Span {
        use ops::Bound::{Excluded, Included, Unbounded};
        match self.is {
            Is::Above => (Excluded(self.than), Unbounded),
            Is::AtLeast => (Included(self.than), Unbounded),
            Is::Below => (Unbounded, Excluded(self.than)),
            Is::AtMost => (Unbounded, Included(self.than)),
            Is::Just => (Included(self.than), Included(self.than)),
        }
    }
}

impl Filter {
    /// Whether anything is asked of runs.
    pub(super) fn is_given(&self) -> bool {
        !self.params.is_empty()
            || !self.metrics.is_empty()
            || self.by.is_some()
            || self.since.is_some()
    }

    /// The last `limit` runs that fit, the latest first, and how many do. Who reached a number is seldom who was
    /// given the parameter: a training was given it, and an evaluation reached the number. So where no run has
    /// both, those fit that stand on one that has the parameters.
    pub(super) fn find(
        &self,
        registry: &Registry,
        lineage: &Lineage,
        now_ms: u64,
        limit: usize,
    ) -> Outcome<Found> {
        let (runs, number) = self.own(registry, lineage, now_ms, limit)?;
        if number > 0 || self.params.is_empty() || self.metrics.is_empty() {
            return Ok(Found::all(runs, number));
        }
        let given = Filter { params: self.params.clone(), ..Filter::default() };
        let given = given.own(registry, lineage, now_ms, usize::MAX)?.0;
        let given: HashSet<RunId> = given.into_iter().map(|row| row.id).collect();
        let mut runs = Vec::new();
        if !given.is_empty() {
            let _held = lineage.hold()?;
            for row in lineage.find(&self.asked(now_ms), usize::MAX)?.0 {
                if lineage.chain(row.id)?.iter().any(|run| given.contains(run)) {
                    runs.push(row);
                }
            }
        }
        let number = runs.len() as u64;
        runs.truncate(limit);
        Ok(Found { runs, number, by_lineage: true })
    }

    /// The same of what a run has by itself.
    fn own(
        &self,
        registry: &Registry,
        lineage: &Lineage,
        now_ms: u64,
        limit: usize,
    ) -> Outcome<(Vec<RunRow>, u64)> {
        let given = self.given(lineage)?;
        let asked = self.asked(now_ms);
        if given.iter().all(|given| given.names().len() == 1) {
            return Ok(lineage.find(&with(&asked, given.iter().map(|g| (g.key, g.value))), limit)?);
        }
        // What has just these names fits; of what has others that may be meant each is looked at.
        let mut found: BTreeMap<_, (RunRow, bool)> = BTreeMap::new();
        let mut chosen = vec![0; given.len()];
        loop {
            let names = given.iter().zip(&chosen).map(|(g, n)| (g.names()[*n], g.value));
            let is_sure = chosen.iter().all(|n| *n == 0);
            for row in lineage.find(&with(&asked, names), usize::MAX)?.0 {
                found.entry(Reverse((row.started_ms, row.id))).or_insert((row, is_sure));
            }
            let next = (0..given.len()).find(|n| chosen[*n] + 1 < given[*n].names().len());
            let Some(next) = next else { break };
            chosen[next] += 1;
            chosen[..next].fill(0);
        }
        let mut fit = Vec::new();
        for (row, is_sure) in found.into_values() {
            let fits = is_sure
                || match record(registry, &row)? {
                    Ok((run, recipe)) => given.iter().all(|given| given.is_of(&run, &recipe)),
                    // Of what cannot be read it is said in its place.
                    Err(_) => true,
                };
            if fits {
                fit.push(row);
            }
        }
        let number = fit.len() as u64;
        fit.truncate(limit);
        Ok((fit, number))
    }

    /// What is to be said of what was found, if it was not found by just the words of the records.
    pub(super) fn notes(&self, lineage: &Lineage, found: &Found) -> Outcome<Vec<String>> {
        let given = self.given(lineage)?;
        let by_lineage = "no run has both by itself: shown is who reached the numbers and stands on a run with these parameters";
        let notes = given.iter().filter_map(Given::note);
        Ok(notes.chain(found.by_lineage.then(|| by_lineage.to_owned())).collect())
    }

    /// What is to be said if no run fits: which words no run knows, and which are near.
    pub(super) fn hints(&self, lineage: &Lineage) -> Outcome<Vec<String>> {
        let mut hints = Vec::new();
        let (params, metrics) = (lineage.parameters()?, lineage.metrics()?);
        for given in self.given(lineage)? {
            if !given.names().iter().any(|name| params.iter().any(|known| known == name)) {
                hints.push(unknown("parameter", given.key, &params));
            }
        }
        for bound in self.metrics.iter().filter(|bound| !metrics.contains(&bound.metric)) {
            hints.push(unknown("number", &bound.metric, &metrics));
        }
        Ok(hints)
    }

    fn given(&self, lineage: &Lineage) -> Outcome<Vec<Given<'_>>> {
        let known = if self.params.is_empty() { Vec::new() } else { lineage.parameters()? };
        self.params.iter().map(|typed| Given::new(typed, &known)).collect()
    }

    /// The same without the parameters, as the index is asked.
    fn asked(&self, now_ms: u64) -> lab_lineage::Filter {
        let since_ms = self.since.map(|since| match since {
            Since::Ago(ago) => {
                now_ms.saturating_sub(u64::try_from(ago.as_millis()).unwrap_or(u64::MAX))
            }
            Since::At(ms) => ms,
        });
        let metrics = self.metrics.iter().map(|bound| (bound.metric.clone(), bound.range()));
        lab_lineage::Filter {
            params: Vec::new(),
            metrics: metrics.collect(),
            who: self.by.clone(),
            since_ms,
        }
    }
}

/// The same, and these parameters.
fn with<'a>(
    asked: &lab_lineage::Filter,
    params: impl Iterator<Item = (&'a str, &'a str)>,
) -> lab_lineage::Filter {
    let params = params.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    lab_lineage::Filter { params, ..asked.clone() }
}

/// That no run has a word, and which one is near, or which there are.
fn unknown(what: &str, typed: &str, known: &[String]) -> String {
    let none = format!("no run has a {what} called '{}'", ui::plain(typed));
    let last = typed.rsplit('.').next().unwrap_or(typed);
    let near = [typed, last].into_iter().find_map(|w| closest(w, known.iter().map(String::as_str)));
    match (near, known.len()) {
        (Some(near), _) => format!("{none}: did you mean `{}`?", ui::plain(near)),
        (None, 0) => none,
        (None, all) => {
            let named = known.iter().take(NAMED).map(|word| ui::plain(word));
            let more =
                if all > NAMED { format!(" and {} more", all - NAMED) } else { String::new() };
            format!("{none}: there are {}{more}", named.collect::<Vec<_>>().join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_a_name_a_sign_and_a_number() {
        let ok = |text: &str| bound(text).unwrap();
        let of = |metric: &str, is, than| Bound { metric: metric.to_owned(), is, than };
        assert_eq!(ok("accuracy>0.97"), of("accuracy", Is::Above, 0.97));
        assert_eq!(ok("val loss <= -1e-3"), of("val loss", Is::AtMost, -0.001));
        assert_eq!(ok("f1=1"), of("f1", Is::Just, 1.0));
        for bad in ["", "accuracy", ">1", "a>", "a>x", "a>nan", "a=>1", "a><1", "a==1"] {
            assert!(bound(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_are_ago_or_a_day() {
        assert_eq!(since("2h"), Ok(Since::Ago(Duration::from_secs(7200))));
        assert_eq!(since("1970-01-02"), Ok(Since::At(86_400_000)));
        assert_eq!(since("1970-01-01T00:00:01Z"), Ok(Since::At(1000)));
        for bad in ["", "yesterday", "2026-13-01", "1969-01-01", "2"] {
            assert!(since(bad).is_err(), "{bad}");
        }
    }
}
