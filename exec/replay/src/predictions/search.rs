//! Where predictions stand: the place that was named, or the one that looks like it.

use std::collections::BTreeMap;
use std::io::Read;

use lab_data::gunzipped;
use lab_objects::Store;
use lab_schema::{BlobId, Run};

use super::cells::{Cell, Words};
use super::columns::{Columns, Guess, guess, may_name, shown};
use super::outputs::{candidates, find, is_array, is_table};
use super::pair::{Side, beside};
use super::read::{Grid, Lacks, Plan, grid, plan, table};
use super::{Predictions, Sought, Unfit};
use crate::compare::source::{Blob, Source};
use crate::contents::plain_name;
use crate::contents::stream::{Failed, Stream, Told, parsed};
use crate::contents::table::form::forms;
use crate::error::Result;

/// Plain bytes at the start of a table that are asked whether they could name columns.
const START: u64 = 64 << 10;
/// Most tables that are looked at, and most things that a message names.
const PLACES: usize = 256;
const LISTED: usize = 8;

/// Files of both runs.
type Both = [BlobId; 2];

/// What may hold predictions.
enum Place {
    Table(String, Both, Box<[Plan; 2]>),
    /// Paths without their endings are names of columns.
    Arrays {
        prediction: (String, Both),
        label: (String, Both),
    },
}

impl Place {
    fn output(&self) -> String {
        match self {
            Place::Table(path, ..) => path.clone(),
            Place::Arrays { prediction, label } => format!("{},{}", prediction.0, label.0),
        }
    }
}

/// Two runs among whose outputs predictions are looked for.
pub(crate) struct Search<'a> {
    pub(crate) store: &'a Store,
    pub(crate) runs: [Run; 2],
    /// Most examples that are read.
    pub(crate) most: usize,
}

fn unfit(output: &str, why: impl Into<String>) -> Sought {
    Sought::Unfit(Unfit { output: output.to_owned(), why: why.into(), is_absent: false })
}

fn absent(output: &str, why: impl Into<String>) -> Sought {
    Sought::Unfit(Unfit { output: output.to_owned(), why: why.into(), is_absent: true })
}

impl Search<'_> {
    /// The one place that looks like predictions.
    pub(crate) fn unasked(&self) -> Result<Sought> {
        let [first, second] =
            [candidates(self.store, &self.runs[0])?, candidates(self.store, &self.runs[1])?];
        let both: BTreeMap<String, Both> = first
            .into_iter()
            .filter_map(|(path, one)| second.get(&path).map(|other| (path, [one, *other])))
            .collect();
        let (mut places, mut flaws) = (Vec::new(), Vec::new());
        for (path, files) in both.iter().filter(|(path, _)| is_table(path)).take(PLACES) {
            if !self.are_here(files)? {
                // That nothing is said has a reason, if its name tells what it holds.
                if path.to_ascii_lowercase().contains("pred") {
                    flaws.push(unfit(path, "it was left out by a pull, or is lost"));
                }
                continue;
            }
            match self.look(path, *files)? {
                Some(Ok(place)) => places.push(place),
                Some(Err(why)) => flaws.push(unfit(path, why)),
                None => {}
            }
        }
        places.extend(self.arrays(&both)?);
        match (places.as_slice(), flaws.pop()) {
            ([], None) => Ok(Sought::Nowhere),
            ([], Some(flaw)) => Ok(flaw),
            ([place], _) => self.read(place),
            (many, _) => {
                let names: Vec<String> = many.iter().take(LISTED).map(Place::output).collect();
                let why = format!("there are {} places with predictions and labels", many.len());
                Ok(unfit(&names.join(" "), why))
            }
        }
    }

    /// Whether neither has to be fetched.
    fn are_here(&self, files: &Both) -> Result<bool> {
        for id in files {
            if self.store.promised(*id)?.is_some() || self.store.size(*id)?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether both files are tables with the names of predictions and labels; an error says what is unclear.
    fn look(&self, path: &str, files: Both) -> Result<Option<Told<Place>>> {
        let [a, b] = self.open(files)?;
        if !(names_columns(&a)? && names_columns(&b)?) {
            return Ok(None);
        }
        let Some((one, other)) = forms(&a, &b, &plain_name(path))? else { return Ok(None) };
        Ok(match (plan(&a, one, None)?, plan(&b, other, None)?) {
            (Ok(one), Ok(other)) => {
                Some(Ok(Place::Table(path.to_owned(), files, Box::new([one, other]))))
            }
            (Err(Lacks::Names(_)), _) | (_, Err(Lacks::Names(_))) => None,
            (Err(Lacks::Clear(why)), _) | (_, Err(Lacks::Clear(why))) => Some(Err(why)),
        })
    }

    /// Arrays that lie in one folder and are called as predictions and labels are.
    fn arrays(&self, both: &BTreeMap<String, Both>) -> Result<Vec<Place>> {
        let mut folders: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for path in both.keys().filter(|path| is_array(path)) {
            folders
                .entry(path.rsplit_once('/').map_or("", |(above, _)| above))
                .or_default()
                .push(path);
        }
        let mut places = Vec::new();
        for paths in folders.values() {
            let stem = |path: &str| {
                let name = path.rsplit('/').next().unwrap_or(path);
                name.split('.').next().unwrap_or(name).to_owned()
            };
            let names: Vec<String> = paths.iter().map(|path| stem(path)).collect();
            let Guess::Clear(Columns { prediction, label, .. }) = guess(&names) else { continue };
            let of = |name: &str| {
                let path = paths.iter().find(|path| stem(path) == name)?;
                Some(((*path).to_owned(), *both.get(*path)?))
            };
            let Some((prediction, label)) = of(&prediction).zip(of(&label)) else { continue };
            if self.are_here(&prediction.1)? && self.are_here(&label.1)? {
                places.push(Place::Arrays { prediction, label });
            }
        }
        Ok(places)
    }

    /// What somebody named.
    pub(crate) fn asked(&self, asked: &str) -> Result<Sought> {
        let (path, columns) = match asked.split_once(':') {
            Some((path, columns)) => match columns.split_once(',') {
                Some(columns) => (path, Some(columns)),
                None => {
                    let why = "after the colon stand two columns, of predictions and of labels, with a comma between them";
                    return Ok(unfit(path, why));
                }
            },
            None => (asked, None),
        };
        if let Some(files) = self.both(path)? {
            return match is_array(path) {
                true => self.within(path, files, columns),
                false => self.within_table(path, files, columns),
            };
        }
        if let (None, Some((prediction, label))) = (columns, path.split_once(','))
            && let (Some(p), Some(l)) = (self.both(prediction)?, self.both(label)?)
        {
            let (prediction, label) = ((prediction.to_owned(), p), (label.to_owned(), l));
            return self.read(&Place::Arrays { prediction, label });
        }
        let which = match (
            find(self.store, &self.runs[0], path)?,
            find(self.store, &self.runs[1], path)?,
        ) {
            (None, None) => "neither run has such an output",
            (None, _) => "the first run has no such output",
            (_, None) => "the second run has no such output",
            (Some(_), Some(_)) => "it cannot be read",
        };
        let there: Vec<String> =
            candidates(self.store, &self.runs[0])?.into_keys().take(LISTED).collect();
        let there = match there.is_empty() {
            true => "the first has no table and no array".to_owned(),
            false => format!("tables and arrays of the first: {}", there.join(", ")),
        };
        Ok(absent(path, format!("{which}; {there}")))
    }

    /// The files at a path, if both runs have one; what was left out is fetched.
    fn both(&self, path: &str) -> Result<Option<Both>> {
        let found =
            [find(self.store, &self.runs[0], path)?, find(self.store, &self.runs[1], path)?];
        let [Some(one), Some(other)] = found else { return Ok(None) };
        self.store.bring(&[one, other])?;
        Ok(Some([one, other]))
    }

    fn within_table(
        &self,
        path: &str,
        files: Both,
        columns: Option<(&str, &str)>,
    ) -> Result<Sought> {
        let [a, b] = self.open(files)?;
        let Some((one, other)) = forms(&a, &b, &plain_name(path))? else {
            return Ok(unfit(
                path,
                "it is no table of CSV or JSON lines, and no array in an .npy file",
            ));
        };
        let (one, other) = match (plan(&a, one, columns)?, plan(&b, other, columns)?) {
            (Ok(one), Ok(other)) => (one, other),
            (Err(lacks), _) => return Ok(lacking(path, columns, "first", lacks)),
            (_, Err(lacks)) => return Ok(lacking(path, columns, "second", lacks)),
        };
        self.read(&Place::Table(path.to_owned(), files, Box::new([one, other])))
    }

    /// Two columns of one array.
    fn within(&self, path: &str, files: Both, columns: Option<(&str, &str)>) -> Result<Sought> {
        let Some((prediction, label)) = columns else {
            let why = "an array has no names: `ARRAY.npy:0,1` takes two of its columns, by their indices, and \
                       `PREDICTIONS.npy,LABELS.npy` two arrays";
            return Ok(unfit(path, why));
        };
        let [a, b] = self.open(files)?;
        let mut words = Words::default();
        let mut side = |source: &Blob<'_>| -> Result<Told<Side>> {
            let grid = match grid(source)? {
                Ok(grid) => grid,
                Err(why) => return Ok(Err(why)),
            };
            let mut column = |asked: &str| match asked.trim().parse::<usize>() {
                Ok(at) if at < grid.width => grid.column(at, self.most, &mut words),
                _ => Err(format!(
                    "{} is no column of it: they are 0 to {}",
                    shown(asked),
                    grid.width - 1
                )),
            };
            Ok(column(prediction).and_then(|predictions| {
                Ok(Side { ids: None, labels: column(label)?, predictions })
            }))
        };
        let sides = (side(&a)?, side(&b)?);
        let columns = [prediction, label].map(|name| name.trim().to_owned());
        Ok(put(path, columns, None, sides, &words))
    }

    /// Reads both sides of a place, and puts them beside each other.
    fn read(&self, place: &Place) -> Result<Sought> {
        let mut words = Words::default();
        let output = place.output();
        match place {
            Place::Table(_, files, plans) => {
                let [a, b] = self.open(*files)?;
                let [one, other] = &**plans;
                let sides = (
                    table(&a, one, self.most, &mut words)?,
                    table(&b, other, self.most, &mut words)?,
                );
                let columns = [&one.columns.prediction, &one.columns.label]
                    .map(|name| name.trim().to_owned());
                let id = one.columns.id.clone().filter(|_| other.columns.id.is_some());
                Ok(put(&output, columns, id, sides, &words))
            }
            Place::Arrays { prediction, label } => {
                let ([p, q], [l, m]) = (self.open(prediction.1)?, self.open(label.1)?);
                let mut side = |prediction: &Blob<'_>, label: &Blob<'_>| -> Result<Told<Side>> {
                    let (prediction, label) = (grid(prediction)?, grid(label)?);
                    Ok(prediction.and_then(|prediction| {
                        Ok(Side {
                            ids: None,
                            predictions: single(&prediction, self.most, &mut words)?,
                            labels: single(&label?, self.most, &mut words)?,
                        })
                    }))
                };
                let sides = (side(&p, &l)?, side(&q, &m)?);
                let columns = [prediction.0.clone(), label.0.clone()];
                Ok(put(&output, columns, None, sides, &words))
            }
        }
    }

    fn open(&self, [one, other]: Both) -> Result<[Blob<'_>; 2]> {
        Ok([Blob::open(self.store, one)?, Blob::open(self.store, other)?])
    }
}

/// The only column of an array.
fn single(grid: &Grid, most: usize, words: &mut Words) -> Told<Vec<Cell>> {
    match grid.width {
        1 => grid.column(0, most, words),
        many => Err(format!("an array has {many} columns, where one number per example is needed")),
    }
}

/// What follows from two sides, or why nothing does.
fn put(
    output: &str,
    columns: [String; 2],
    id: Option<String>,
    sides: (Told<Side>, Told<Side>),
    words: &Words,
) -> Sought {
    let (a, b) = match sides {
        (Ok(a), Ok(b)) => (a, b),
        (Err(why), _) => return unfit(output, format!("of the first run: {why}")),
        (_, Err(why)) => return unfit(output, format!("of the second run: {why}")),
    };
    for (side, which) in [(&a, "first"), (&b, "second")] {
        let (labels, predictions) = (side.labels.len(), side.predictions.len());
        if labels != predictions {
            let why = format!("the {which} has {labels} labels and {predictions} predictions");
            return unfit(output, why);
        }
    }
    match beside(&a, b, words) {
        Ok((outcomes, joined)) => {
            let (output, id) = (output.to_owned(), id.filter(|_| joined));
            Sought::Found(Predictions { output, columns, id, outcomes })
        }
        Err(why) => unfit(output, why),
    }
}

fn lacking(path: &str, columns: Option<(&str, &str)>, which: &str, lacks: Lacks) -> Sought {
    match (lacks, columns) {
        (Lacks::Names(there), None) => absent(
            path,
            format!(
                "no column of the {which} run's is called as predictions or labels are; {there}"
            ),
        ),
        (Lacks::Names(there), Some((prediction, label))) => absent(
            path,
            format!(
                "of the {which} run: not both of {} and {} are columns; {there}",
                shown(prediction),
                shown(label)
            ),
        ),
        (Lacks::Clear(why), _) => unfit(path, format!("of the {which} run: {why}")),
    }
}

/// Whether the start of a table could name the columns that count: larger ones are not looked into further.
fn names_columns(source: &dyn Source) -> Result<bool> {
    let failed = Failed::default();
    let start = parsed(&failed, || {
        let mut start = Vec::new();
        gunzipped(Stream::new(source, &failed)).take(START).read_to_end(&mut start).map(|_| start)
    })?;
    Ok(start.is_ok_and(|start| may_name(&start)))
}
