//! What differs between two environments, by packages and libraries.
//!
//! An environment is a tree from `/` with all that was read of programs, libraries and system files:
//! thousands of files. A package counts as one thing, by the folder in `site-packages` that its files
//! lie in, and has the version that a `.dist-info` beside it names; a library is one thing whatever
//! digits follow its `.so`. Caches of interpreters are left out: they follow from the rest.

use std::collections::{BTreeMap, BTreeSet};

use lab_schema::observed::Listed;

use crate::variables::code::Changed;
use crate::variables::variable::Layer;

/// Folders that hold one package per entry.
const PACKAGES: [&str; 2] = ["site-packages", "dist-packages"];

/// Distributions whose packages have another name.
const ALIASES: [(&str, &str); 8] = [
    ("sklearn", "scikit_learn"),
    ("pil", "pillow"),
    ("cv2", "opencv_python"),
    ("yaml", "pyyaml"),
    ("bs4", "beautifulsoup4"),
    ("dateutil", "python_dateutil"),
    ("skimage", "scikit_image"),
    ("attr", "attrs"),
];

/// Most rows that are told of things that are no packages.
const MANY: usize = 12;

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
    let mut packages: BTreeMap<(String, String), Vec<Changed>> = BTreeMap::new();
    let mut libraries: BTreeMap<String, Vec<Changed>> = BTreeMap::new();
    let mut others = Vec::new();
    for c in changed {
        if c.path.split('/').any(|part| part == "__pycache__") || c.path.ends_with(".pyc") {
            continue;
        }
        match (package(&c.path), library(&c.path)) {
            (Some(key), _) => packages.entry(key).or_default().push(c),
            (None, Some(key)) => libraries.entry(key).or_default().push(c),
            (None, None) => others.push(c),
        }
    }
    let mut parts = Vec::new();
    for ((folder, name), files) in packages {
        let version = |all: &Versions| {
            let found = all.get(&(folder.clone(), name.clone()))?;
            Some(found.iter().cloned().collect::<Vec<_>>().join(" and "))
        };
        let (v, w) = (version(before), version(after));
        let layer = Layer::Package;
        parts.push(if v == w {
            one(layer, &format!("package {name}"), files)
        } else {
            Part { layer, what: format!("package {name}"), before: v, after: w }
        });
    }
    for (name, files) in libraries {
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
    let more = others.len().saturating_sub(MANY);
    for c in others.into_iter().take(MANY) {
        parts.push(Part { layer: Layer::System, what: c.path, before: c.before, after: c.after });
    }
    if more > 0 {
        parts.push(Part {
            layer: Layer::System,
            what: format!("{more} more system files"),
            before: Some("as in the one".to_owned()),
            after: Some("as in the other".to_owned()),
        });
    }
    parts
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

/// The folder of packages that a path lies in, and the package: `numpy` of `numpy/core/x.py`,
/// `numpy.libs/y.so` and `numpy-2.0.dist-info/METADATA`.
fn package(path: &str) -> Option<(String, String)> {
    let parts: Vec<&str> = path.split('/').collect();
    let at = parts.iter().rposition(|part| PACKAGES.contains(part))?;
    let entry = parts.get(at + 1)?;
    let name = match distribution(entry) {
        Some((name, _)) => name,
        None => normal(entry.split('.').next().unwrap_or(entry)),
    };
    let alias = ALIASES.iter().find(|(import, _)| *import == name);
    let name = alias.map_or(name, |(_, distribution)| (*distribution).to_owned());
    Some((parts[..=at].join("/"), name))
}

/// Name and version in `numpy-2.0.dist-info` and `foo-1.0-py3.11.egg-info`.
fn distribution(entry: &str) -> Option<(String, String)> {
    let stem = entry.strip_suffix(".dist-info").or_else(|| entry.strip_suffix(".egg-info"))?;
    let mut parts = stem.split('-');
    let (name, version) = (parts.next()?, parts.next()?);
    Some((normal(name), version.to_owned()))
}

fn normal(name: &str) -> String {
    name.to_lowercase().replace(['-', '.'], "_")
}

/// The library whose file this is: `libz` of `usr/lib/libz.so.1.3`.
fn library(path: &str) -> Option<String> {
    let name = path.rsplit('/').next()?;
    let (stem, end) = name.split_once(".so")?;
    let is_version = end.is_empty() || end.starts_with('.');
    (is_version && !stem.is_empty()).then(|| stem.to_owned())
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

    #[test]
    fn many_files_stay_few_rows() {
        let file = |n: usize| changed(&format!("etc/x/{n}"), Some("1"), Some("2"));
        let parts = grouped((0..500).map(file).collect(), &Versions::new(), &Versions::new());
        assert_eq!(parts.len(), MANY + 1);
        assert!(parts[MANY].what.starts_with("488 more"), "{}", parts[MANY].what);
        assert_eq!(grouped(vec![], &Versions::new(), &Versions::new()), []);
    }
}
