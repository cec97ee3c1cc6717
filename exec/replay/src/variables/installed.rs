//! What a path says that lies in an installation: which package it belongs to, which interpreter,
//! which library. Judged by names alone.

/// Folders that hold one package per entry.
pub(crate) const PACKAGES: [&str; 2] = ["site-packages", "dist-packages"];

/// Distributions whose packages have another name.
const ALIASES: [(&str, &str); 10] = [
    ("_distutils_hack", "setuptools"),
    ("distutils_precedence", "setuptools"),
    ("sklearn", "scikit_learn"),
    ("pil", "pillow"),
    ("cv2", "opencv_python"),
    ("yaml", "pyyaml"),
    ("bs4", "beautifulsoup4"),
    ("dateutil", "python_dateutil"),
    ("skimage", "scikit_image"),
    ("attr", "attrs"),
];

/// The folder of packages that a path lies in, and the package: `numpy` of `numpy/core/x.py`,
/// `numpy.libs/y.so` and `numpy-2.0.dist-info/METADATA`.
pub(crate) fn package(path: &str) -> Option<(String, String)> {
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
pub(crate) fn distribution(entry: &str) -> Option<(String, String)> {
    let stem = entry.strip_suffix(".dist-info").or_else(|| entry.strip_suffix(".egg-info"))?;
    let mut parts = stem.split('-');
    let (name, version) = (parts.next()?, parts.next()?);
    Some((normal(name), version.to_owned()))
}

fn normal(name: &str) -> String {
    name.to_lowercase().replace(['-', '.'], "_")
}

/// The library whose file this is: `libz` of `usr/lib/libz.so.1.3`.
pub(crate) fn library(path: &str) -> Option<String> {
    let name = path.rsplit('/').next()?;
    let (stem, end) = name.split_once(".so")?;
    let is_version = end.is_empty() || end.starts_with('.');
    (is_version && !stem.is_empty()).then(|| stem.to_owned())
}

/// A file of an interpreter's own.
pub(crate) struct Python<'p> {
    /// `python3.11`.
    pub(crate) version: &'p str,
    /// What comes after that.
    pub(crate) inside: &'p str,
}

pub(crate) fn python(path: &str) -> Option<Python<'_>> {
    let mut before = "";
    let mut rest = path;
    loop {
        let (part, after) = rest.split_once('/').unwrap_or((rest, ""));
        let stem = part.strip_prefix("lib").filter(|stem| stem.starts_with("python"));
        let stem = stem.and_then(|stem| stem.split(".so").next()).unwrap_or(part);
        let digits = stem.strip_prefix("python").unwrap_or_default();
        let is_number =
            stem.starts_with("python") && digits.chars().all(|c| c.is_ascii_digit() || c == '.');
        let is_file = after.is_empty() && (before == "bin" || stem != part);
        // Only of programs may the version be missing: `bin/python3` is a link as a rule.
        let is_version = is_number && (digits.contains('.') || is_file);
        if is_version && (is_file || matches!(before, "lib" | "lib64")) {
            let inside = if after.is_empty() { before } else { after };
            return Some(Python { version: stem, inside });
        }
        if after.is_empty() {
            return None;
        }
        (before, rest) = (part, after);
    }
}

pub(crate) fn is_cache(path: &str) -> bool {
    path.split('/').any(|part| part == "__pycache__") || path.ends_with(".pyc")
}

/// Whether a path, as it is told, is one of an installation.
pub(crate) fn is_installed(path: &str) -> bool {
    const TOPS: [&str; 6] = ["/usr/", "/lib", "/bin/", "/sbin/", "/etc/", "/opt/"];
    package(path).is_some()
        || python(path).is_some()
        || library(path).is_some()
        || TOPS.iter().any(|top| path.starts_with(top))
}
