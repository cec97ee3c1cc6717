//! What differs between two environments, by packages and libraries.
//!
//! An environment is a tree from `/` with all that was read of programs, libraries and system files:
//! thousands of files. A package counts as one thing, by the folder in `site-packages` that its files
//! lie in, and has the version that a `.dist-info` beside it names; a library is one thing whatever
//! digits follow its `.so`. Caches of interpreters are left out: they follow from the rest.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use lab_schema::observed::Listed;

use crate::variables::code::Changed;
use crate::variables::installed::{PACKAGES, distribution, is_cache, library, package, python};
use crate::variables::variable::Layer;

/// Most rows of one sort that are told of things that are no packages.
const MANY: usize = 12;

/// Most packages that are told.
const MANY_PACKAGES: usize = 60;

/// One thing of an environment that differs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) layer: Layer,
    pub(crate) what: String,
    pub(crate) before: Option<String>,
    pub(crate) after: Option<String>,
}

/// Versions by the folder that packages lie in and the name of the distribution.
pub(crate) type Versions = BTreeMap<(String, String), BTreeSet<String>>;

/// The distributions that folders of packages were seen to hold; `name` says how a path is told.
pub(crate) fn versions(
    listed: &BTreeMap<Vec<u8>, Vec<Listed>>,
    name: &dyn Fn(&[u8]) -> String,
) -> Versions {
    let mut found = Versions::new();
    for (folder, names) in listed {
        let folder = name(folder);
        if !PACKAGES.iter().any(|p| folder.rsplit('/').next() == Some(*p)) {
            continue;
        }
        for listed in names {
            let name = String::from_utf8_lossy(&listed.name);
            if let Some((name, version)) = distribution(&name) {
                found.entry((folder.clone(), name)).or_default().insert(version);
            }
        }
    }
    found
}

/// Groups what differs between two trees, by paths as they are told.
pub(crate) fn grouped(changed: Vec<Changed>, before: &Versions, after: &Versions) -> Vec<Part> {
    let mut parts = Vec::new();
    let changed: Vec<Changed> = changed.into_iter().filter(|c| !is_cache(&c.path)).collect();
    let first =
        |is: &dyn Fn(&Changed) -> bool| changed.iter().find(|c| is(c)).map(|c| c.path.clone());
    let elsewhere = (first(&|c| c.after.is_none()), first(&|c| c.before.is_none()));
    let moved = Moved::new(&changed);
    let changed = moved.paired(changed);
    let mut packages: BTreeMap<String, Vec<Changed>> = BTreeMap::new();
    let mut libraries: BTreeMap<String, Vec<Changed>> = BTreeMap::new();
    let (mut interpreter, mut others) = (Vec::new(), Vec::new());
    for c in changed {
        if let Some((_, name)) = package(&c.path) {
            packages.entry(name).or_default().push(c);
        } else if python(&c.path).is_some() {
            interpreter.push(c);
        } else if let Some(key) = library(&c.path) {
            libraries.entry(key).or_default().push(c);
        } else {
            others.push(c);
        }
    }
    parts.extend(self::interpreter(interpreter));
    let more = packages.len().saturating_sub(MANY_PACKAGES);
    for (name, files) in packages.into_iter().take(MANY_PACKAGES) {
        parts.push(moved.package(&name, files, before, after));
    }
    parts.extend(remaining(Layer::Package, more, "packages"));
    let more = libraries.len().saturating_sub(MANY);
    for (name, files) in libraries.into_iter().take(MANY) {
        let layer = Layer::System;
        // A library that has another version has another path: one goes, and one comes.
        let gone = files.iter().find(|c| c.after.is_none());
        let come = files.iter().find(|c| c.before.is_none());
        parts.push(match (gone, come) {
            (Some(gone), Some(come)) => {
                let (before, after) = (file_name(&gone.path), file_name(&come.path));
                Part { layer, what: format!("library {name}"), before, after }
            }
            _ => one(layer, &format!("library {name}"), files),
        });
    }
    parts.extend(remaining(Layer::System, more, "libraries"));
    let more = others.len().saturating_sub(MANY);
    for c in others.into_iter().take(MANY) {
        parts.push(Part { layer: Layer::System, what: c.path, before: c.before, after: c.after });
    }
    parts.extend(remaining(Layer::System, more, "system files"));
    parts.extend(moved.told());
    // Equal files in other places have to show as something.
    if parts.is_empty() && (elsewhere.0.is_some() || elsewhere.1.is_some()) {
        let (before, after) = elsewhere;
        let what = "place of the environment".to_owned();
        parts.push(Part { layer: Layer::Place, what, before, after });
    }
    parts
}

/// How many more there are, if any.
fn remaining(layer: Layer, more: usize, noun: &str) -> Option<Part> {
    (more > 0).then(|| Part {
        layer,
        what: format!("{more} more {noun}"),
        before: Some("as in the one".to_owned()),
        after: Some("as in the other".to_owned()),
    })
}

/// A sort, and a name in it.
type Identity = (&'static str, String);

/// Virtual environments of which only one run used each.
struct Moved {
    gone: BTreeSet<String>,
    come: BTreeSet<String>,
}

impl Moved {
    fn new(changed: &[Changed]) -> Moved {
        let of = |is: &dyn Fn(&Changed) -> bool| {
            let all = changed.iter().filter(|c| is(c));
            all.filter_map(|c| c.path.strip_suffix("/pyvenv.cfg")).map(str::to_owned).collect()
        };
        let gone = of(&|c| c.after.is_none());
        Moved { gone, come: of(&|c| c.before.is_none()) }
    }

    /// The part of a path below the environment that it lies in.
    fn inside<'p>(&self, path: &'p str) -> Option<&'p str> {
        path.match_indices('/').find_map(|(at, _)| {
            let top = &path[..at];
            (self.gone.contains(top) || self.come.contains(top)).then(|| &path[at + 1..])
        })
    }

    /// What a file is, wherever its environment or interpreter lies.
    fn identity(&self, path: &str) -> Option<Identity> {
        if let Some((folder, name)) = package(path) {
            return Some(("package", format!("{name}{}", &path[folder.len()..])));
        }
        if let Some(python) = python(path) {
            return Some(("interpreter", python.inside.to_owned()));
        }
        let inside = self.inside(path);
        inside.map(|inside| ("environment", inside.to_owned())).or_else(|| {
            library(path)?;
            Some(("library", file_name(path)?))
        })
    }

    /// Brings a file that went together with the one that came in its stead; equal ones differ in
    /// nothing.
    fn paired(&self, changed: Vec<Changed>) -> Vec<Changed> {
        let mut gone: BTreeMap<Identity, Changed> = BTreeMap::new();
        let (mut come, mut left) = (Vec::new(), Vec::new());
        for c in changed {
            match self.identity(&c.path) {
                Some(key) if c.after.is_none() => left.extend(gone.insert(key, c)),
                Some(key) if c.before.is_none() => come.push((key, c)),
                _ => left.push(c),
            }
        }
        for (key, c) in come {
            match gone.remove(&key) {
                Some(then) if then.before == c.after => {}
                // Scripts and settings of an environment hold its own path.
                Some(_) if key.0 == "environment" && is_own(&key.1) => {}
                // One that lies in another folder under another name is told by both.
                Some(then) if matches!(key.0, "package" | "interpreter") => left.extend([then, c]),
                Some(then) => left.push(Changed { before: then.before, ..c }),
                None => left.push(c),
            }
        }
        left.extend(gone.into_values());
        left.sort_by(|a, b| a.path.cmp(&b.path));
        left
    }

    fn package(
        &self,
        name: &str,
        files: Vec<Changed>,
        before: &Versions,
        after: &Versions,
    ) -> Part {
        let folders = |is: &dyn Fn(&Changed) -> bool| -> BTreeSet<String> {
            let all = files.iter().filter(|c| is(c));
            all.filter_map(|c| package(&c.path)).map(|(folder, _)| folder).collect()
        };
        let (here, there) = (folders(&|c| c.before.is_some()), folders(&|c| c.after.is_some()));
        let version = |all: &Versions, folders: &BTreeSet<String>| {
            let of = |folder: &String| all.get(&(folder.clone(), name.to_owned()));
            let found: BTreeSet<&String> = folders.iter().filter_map(of).flatten().collect();
            let found: Vec<&str> = found.into_iter().map(String::as_str).collect();
            (!found.is_empty()).then(|| found.join(" and "))
        };
        // With files on one side only, the folder of these counts for both.
        let of = |own: &BTreeSet<String>, other: &BTreeSet<String>| match own.is_empty() {
            true => other.clone(),
            false => own.clone(),
        };
        let v = version(before, &of(&here, &there));
        let w = version(after, &of(&there, &here));
        let known = |all: &BTreeSet<String>| -> BTreeSet<String> {
            let inside = |folder: &String| {
                let below = self.inside(folder).unwrap_or(folder);
                python(below).map_or(below, |python| python.inside).to_owned()
            };
            all.iter().map(inside).collect()
        };
        let is_elsewhere = !here.is_empty() && !there.is_empty() && known(&here) != known(&there);
        let (layer, what) = (Layer::Package, format!("package {name}"));
        if is_elsewhere {
            let told = |version: Option<String>, folders: &BTreeSet<String>| {
                let folder = folders.first().map(String::as_str).unwrap_or_default();
                Some(format!("{} in {folder}", version.as_deref().unwrap_or("files")))
            };
            return Part { layer, what, before: told(v, &here), after: told(w, &there) };
        }
        if v == w {
            return one(layer, &what, merged(files));
        }
        Part { layer, what, before: v, after: w }
    }

    /// That another environment was used.
    fn told(&self) -> Option<Part> {
        let show = |all: &BTreeSet<String>| all.first().cloned();
        (!self.gone.is_empty() && !self.come.is_empty()).then(|| Part {
            layer: Layer::Place,
            what: "virtual environment".to_owned(),
            before: show(&self.gone),
            after: show(&self.come),
        })
    }
}

/// Files of a package that lay in one folder and lie in another, each as one.
fn merged(files: Vec<Changed>) -> Vec<Changed> {
    let mut all: BTreeMap<String, Changed> = BTreeMap::new();
    for c in files {
        let inside = package(&c.path).map_or(0, |(folder, _)| folder.len());
        match all.entry(c.path[inside..].to_owned()) {
            Entry::Vacant(free) => drop(free.insert(c)),
            Entry::Occupied(mut then) => {
                let then = then.get_mut();
                then.before = then.before.take().or(c.before);
                then.after = then.after.take().or(c.after);
            }
        }
    }
    all.into_values().collect()
}

/// What every environment has written for itself.
fn is_own(inside: &str) -> bool {
    inside == "pyvenv.cfg" || inside.starts_with("bin/")
}

/// One row for an interpreter, whatever number of its modules differ.
fn interpreter(files: Vec<Changed>) -> Option<Part> {
    let versions = |is: &dyn Fn(&Changed) -> bool| -> BTreeSet<String> {
        let all = files.iter().filter(|c| is(c)).filter_map(|c| python(&c.path));
        all.map(|python| python.version.to_owned()).collect()
    };
    let gone = versions(&|c| c.before.is_some());
    let come = versions(&|c| c.after.is_some());
    let show = |all: &BTreeSet<String>| {
        let all: Vec<&str> = all.iter().take(3).map(String::as_str).collect();
        (!all.is_empty()).then(|| all.join(" and "))
    };
    let (layer, what) = (Layer::Package, "interpreter");
    if gone != come && !gone.is_empty() && !come.is_empty() {
        let only = |a: &BTreeSet<String>, b| a.difference(b).cloned().collect::<BTreeSet<_>>();
        let (a, b) = (only(&gone, &come), only(&come, &gone));
        let or = |own: BTreeSet<String>, all: &BTreeSet<String>| {
            if own.is_empty() { show(all) } else { show(&own) }
        };
        return Some(Part {
            layer,
            what: what.to_owned(),
            before: or(a, &gone),
            after: or(b, &come),
        });
    }
    (!files.is_empty()).then(|| one(layer, what, files))
}

/// Files of one thing, by the first of them.
fn one(layer: Layer, name: &str, files: Vec<Changed>) -> Part {
    let more = match files.len() {
        0 | 1 => String::new(),
        n => format!(" and {} more", n - 1),
    };
    // One that both have says more than one that came or went.
    let is_both = |c: &Changed| c.before.is_some() && c.after.is_some();
    let at = files.iter().position(is_both).unwrap_or(0);
    match files.into_iter().nth(at) {
        Some(c) => {
            let what = format!("{name} ({}{more})", c.path);
            Part { layer, what, before: c.before, after: c.after }
        }
        None => Part { layer, what: name.to_owned(), before: None, after: None },
    }
}

fn file_name(path: &str) -> Option<String> {
    path.rsplit('/').next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab_schema::observed::ListedKind;

    fn changed(path: &str, before: Option<&str>, after: Option<&str>) -> Changed {
        let own = |v: Option<&str>| v.map(str::to_owned);
        Changed { path: path.to_owned(), before: own(before), after: own(after) }
    }

    fn held(folder: &str, names: &[&str]) -> Versions {
        let listed =
            |name: &&str| Listed { name: name.as_bytes().to_vec(), kind: ListedKind::Folder };
        let names = names.iter().map(listed).collect();
        let told = |path: &[u8]| String::from_utf8_lossy(path).into_owned();
        versions(&BTreeMap::from([(folder.as_bytes().to_vec(), names)]), &told)
    }

    #[test]
    fn a_package_is_one_row_with_its_versions() {
        let site = "/v/lib/python3.11/site-packages";
        let files = vec![
            changed(&format!("{site}/sklearn/a.py"), Some("1"), Some("2")),
            changed(&format!("{site}/sklearn/__pycache__/a.pyc"), Some("1"), Some("2")),
            changed(&format!("{site}/scikit_learn.libs/b.so"), None, Some("2")),
            changed(&format!("{site}/six.py"), Some("1"), Some("2")),
            changed("/usr/lib/libz.so.1.2", Some("1"), None),
            changed("/usr/lib/libz.so.1.3", None, Some("2")),
            changed("/etc/localtime", Some("1"), Some("2")),
        ];
        let before = held(site, &["scikit_learn-1.0.dist-info", "six-1.0.dist-info"]);
        let after = held(site, &["scikit_learn-1.1.dist-info", "six-1.0.dist-info", "x"]);
        let parts = grouped(files, &before, &after);
        let rows: Vec<(&str, Option<&str>, Option<&str>)> = parts
            .iter()
            .map(|p| (p.what.as_str(), p.before.as_deref(), p.after.as_deref()))
            .collect();
        let six = format!("package six ({site}/six.py)");
        assert_eq!(
            rows,
            [
                ("package scikit_learn", Some("1.0"), Some("1.1")),
                (six.as_str(), Some("1"), Some("2")),
                ("library libz", Some("libz.so.1.2"), Some("libz.so.1.3")),
                ("/etc/localtime", Some("1"), Some("2")),
            ]
        );
    }

    fn rows(parts: &[Part]) -> Vec<String> {
        let show = |v: &Option<String>| v.clone().unwrap_or_else(|| "-".into());
        let row = |p: &Part| {
            format!("{} {} {} {}", p.layer.word(), p.what, show(&p.before), show(&p.after))
        };
        parts.iter().map(row).collect()
    }

    /// An environment at `top`, all of it on one side.
    fn environment(top: &str, python: &str, numpy: &str, is_before: bool) -> Vec<Changed> {
        let site = format!("{top}/lib/{python}/site-packages");
        let files = [
            (format!("{top}/pyvenv.cfg"), top),
            (format!("{top}/bin/activate"), top),
            (format!("{site}/numpy/a.py"), numpy),
            (format!("{site}/numpy/b.so"), "same"),
            (format!("{site}/six.py"), "six"),
            (format!("{site}/__pycache__/six.pyc"), top),
        ];
        let all = files.iter().map(|(path, id)| match is_before {
            true => changed(path, Some(id), None),
            false => changed(path, None, Some(id)),
        });
        all.collect()
    }

    fn both(a: Vec<Changed>, b: Vec<Changed>) -> Vec<Changed> {
        a.into_iter().chain(b).collect()
    }

    #[test]
    fn an_environment_elsewhere_differs_in_what_is_in_it() {
        let old = || environment("/v1", "python3.11", "a", true);
        let one = "/v1/lib/python3.11/site-packages";
        let before = held(one, &["numpy-2.1.dist-info", "six-1.dist-info"]);
        let other = "/v2/lib/python3.11/site-packages";
        let after = held(other, &["numpy-2.2.dist-info", "six-1.dist-info"]);
        let place = "place virtual environment /v1 /v2";
        let new = environment("/v2", "python3.11", "b", false);
        let found = rows(&grouped(both(old(), new), &before, &after));
        assert_eq!(found, ["package package numpy 2.1 2.2", place]);
        // The same version with other bytes is one row by its path, and equal ones are none.
        let after = held(other, &["numpy-2.1.dist-info", "six-1.dist-info"]);
        let new = environment("/v2", "python3.11", "b", false);
        let found = rows(&grouped(both(old(), new), &before, &after));
        let by_path = format!("package package numpy ({one}/numpy/a.py) a b");
        assert_eq!(found, [by_path.as_str(), place]);
        let new = environment("/v2", "python3.11", "a", false);
        assert_eq!(rows(&grouped(both(old(), new), &before, &after)), [place]);
        // Another interpreter moves every package, and is one row.
        let mut all = both(old(), environment("/v2", "python3.13", "a", false));
        for n in 0..300 {
            all.push(changed(&format!("/usr/lib/python3.11/m{n}.py"), Some("1"), None));
            all.push(changed(&format!("/opt/x/lib/python3.13/m{n}.py"), None, Some("2")));
        }
        all.push(changed("/usr/bin/python3", Some("python3.11"), Some("python3.13")));
        all.push(changed("/usr/lib/libpython3.11.so.1.0", Some("1"), None));
        let found = rows(&grouped(all, &before, &Versions::new()));
        assert_eq!(found, ["package interpreter python3.11 python3.13", place]);
    }

    #[test]
    fn a_package_that_shadows_is_told_by_its_folder() {
        let (system, own) =
            ("/usr/lib/python3/dist-packages", "~/.local/lib/python3.11/site-packages");
        let files = vec![
            changed(&format!("{system}/numpy/a.py"), Some("1"), None),
            changed(&format!("{own}/numpy/a.py"), None, Some("2")),
        ];
        let mut held_by_both = held(system, &["numpy-1.0.dist-info"]);
        held_by_both.extend(held(own, &["numpy-1.1.dist-info"]));
        let found = rows(&grouped(files, &held_by_both, &held_by_both));
        assert_eq!(found, [format!("package package numpy 1.0 in {system} 1.1 in {own}")]);
    }

    #[test]
    fn equal_files_elsewhere_are_one_row() {
        let files = vec![
            changed("/a/lib/python3.11/os.py", Some("1"), None),
            changed("/b/lib/python3.11/os.py", None, Some("1")),
        ];
        let found = rows(&grouped(files, &Versions::new(), &Versions::new()));
        assert_eq!(
            found,
            ["place place of the environment /a/lib/python3.11/os.py /b/lib/python3.11/os.py"]
        );
    }

    #[test]
    fn many_packages_and_libraries_stay_few_rows() {
        let files = (0..900).flat_map(|n| {
            let site = "/v/site-packages";
            let one = changed(&format!("{site}/p{n}/x.py"), Some("1"), Some("2"));
            [one, changed(&format!("/usr/lib/lib{n}.so.1"), Some("1"), Some("2"))]
        });
        let parts = grouped(files.collect(), &Versions::new(), &Versions::new());
        assert_eq!(parts.len(), MANY_PACKAGES + MANY + 2);
    }

    #[test]
    fn many_files_stay_few_rows() {
        let file = |n: usize| changed(&format!("etc/x/{n}"), Some("1"), Some("2"));
        let parts = grouped((0..500).map(file).collect(), &Versions::new(), &Versions::new());
        assert_eq!(parts.len(), MANY + 1);
        assert!(parts[MANY].what.starts_with("488 more"), "{}", parts[MANY].what);
        assert_eq!(grouped(vec![], &Versions::new(), &Versions::new()), []);
    }
}
