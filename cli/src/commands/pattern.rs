//! Sets of names: patterns, in which `*` stands for any characters and `?` for one, and the seeds of a run.

use lab_objects::Names;
use lab_schema::Name;

use crate::failure::{Failure, Outcome};

/// What a name has to fit.
type Fits<'a> = Box<dyn Fn(&str) -> bool + 'a>;

/// What a name has to fit, if a set was typed: `NAME@seeds`, or a pattern.
pub(crate) fn set(typed: &str) -> Outcome<Option<Fits<'_>>> {
    if let Some(base) = typed.strip_suffix("@seeds") {
        base.parse::<Name>()?;
        let start = format!("{base}.seed");
        return Ok(Some(Box::new(move |name| {
            let rest = name.strip_prefix(&start);
            rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
        })));
    }
    Ok(match typed.contains(['*', '?']) {
        true => Some(Box::new(move |name| matches(typed, name))),
        false => None,
    })
}

/// The names that point at something and fit a set, `seed10` after `seed9`; nothing if no set was typed.
pub(crate) fn names(names: &Names<'_>, typed: &str) -> Outcome<Option<Vec<Name>>> {
    let Some(fits) = set(typed)? else { return Ok(None) };
    let mut found: Vec<Name> = names
        .list()?
        .into_iter()
        .filter(|(name, moved)| moved.target.is_some() && fits(name.as_str()))
        .map(|(name, _)| name)
        .collect();
    if found.is_empty() {
        return Err(none(typed, "nothing"));
    }
    found.sort_by_key(|name| natural(name.as_str()));
    Ok(Some(found))
}

/// That no name fits a set.
pub(crate) fn none(typed: &str, what: &str) -> Failure {
    let failure = Failure::not_found(format!("{what} is called '{typed}'"));
    match typed.strip_suffix("@seeds") {
        Some(base) => failure.hint(format!(
            "`lab run ... --name {base} --seeds 1..10` makes {base}.seed1 to {base}.seed10"
        )),
        None => failure.hint("`lab ls` lists the names"),
    }
}

/// So that `seed10` comes after `seed9`.
pub(crate) fn natural(name: &str) -> (String, u64) {
    let head = name.trim_end_matches(|c: char| c.is_ascii_digit());
    (head.to_owned(), name[head.len()..].parse().unwrap_or(0))
}

/// Whether a name fits a pattern, in time bounded by the product of their lengths.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // The last star, and where in the name it stops.
    let mut star = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => (p, n) = (p + 1, n + 1),
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, n) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        for (pattern, name) in [
            ("*.md", "a.md"),
            ("a*c", "abbc"),
            ("?", "é"),
            ("", ""),
            ("**", ""),
            ("a*b*c", "axbbyc"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("*.md", "a.mdx"), ("?", ""), ("a", ""), ("", "a"), ("a*c", "ab")] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn names_are_in_the_order_of_their_numbers() {
        let mut names = ["a.seed10", "a.seed9", "a", "a.seed100"];
        names.sort_by_key(|name| natural(name));
        assert_eq!(names, ["a", "a.seed9", "a.seed10", "a.seed100"]);
    }
}
