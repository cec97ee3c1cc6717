//! What became of a run when somebody did it again, in few words.

use lab_lineage::Lineage;
use lab_page::Tone;
use lab_schema::{Attestation, Run, RunId, Signed, Verdict};
use lab_trust::Judgement;

use crate::failure::Outcome;
use crate::trust::Believed;
use crate::ui::{plain, shortened};
use crate::wiring::Registry;

/// Longest name of a person, in characters.
const WHO: usize = 24;
/// Most people that are named.
const PEOPLE: usize = 2;

/// Whether a run was done again, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::commands) struct Standing {
    /// How good the news is.
    pub(in crate::commands) tone: Tone,
    /// `identical 2 times, by ben`, `diverged`, `never verified`.
    pub(in crate::commands) words: String,
    /// The same without how often.
    pub(in crate::commands) short: String,
}

/// Sums up what was attested of a run. Who did it is said if that is somebody else, or has signed it.
pub(in crate::commands) fn standing(
    registry: &Registry,
    lineage: &Lineage,
    believed: &Believed,
    (id, run): (RunId, &Run),
) -> Outcome<Standing> {
    let mut found = Found::default();
    for id in lineage.attestations_of(id)? {
        let attestation: Attestation = registry.store.load(id)?;
        match attestation.verdict {
            Verdict::Identical => found.identical += 1,
            Verdict::Equivalent => found.equivalent += 1,
            Verdict::Diverged => found.diverged += 1,
            Verdict::Failed(_) => found.failed += 1,
            Verdict::Unverifiable(_) => found.unverifiable += 1,
        }
        if attestation.verdict.holds() {
            let signatures = believed.of(registry, lineage, Signed::Attestation(id))?;
            let signers: Vec<String> = signatures.iter().flat_map(Judgement::principals).collect();
            let named = |who: &str| shortened(&plain(who), WHO);
            found.who.extend(signers.iter().map(|who| format!("{} (signed)", named(who))));
            if signers.is_empty() && attestation.who != run.who {
                found.who.push(named(&attestation.who));
            }
        }
    }
    Ok(found.summed())
}

#[derive(Default)]
struct Found {
    identical: usize,
    equivalent: usize,
    diverged: usize,
    failed: usize,
    unverifiable: usize,
    who: Vec<String>,
}

impl Found {
    fn summed(mut self) -> Standing {
        let counted = [
            (self.identical, "identical"),
            (self.equivalent, "equivalent"),
            (self.diverged, "diverged"),
            (self.failed, "failed again"),
            (self.unverifiable, "cannot be verified"),
        ];
        let tone = match (self.identical + self.equivalent, self.diverged + self.failed) {
            (_, 1..) => Tone::Bad,
            (0, _) => Tone::Open,
            _ => Tone::Good,
        };
        let there: Vec<(usize, &str)> = counted.into_iter().filter(|(n, _)| *n > 0).collect();
        self.who.sort();
        self.who.dedup();
        let by = match self.who.len() {
            0 => String::new(),
            n if n <= PEOPLE => format!(", by {}", self.who.join(" and ")),
            n => format!(", by {n} people"),
        };
        let often = |(n, word): &(usize, &str)| match n {
            1 => (*word).to_owned(),
            n => format!("{word} {n} times"),
        };
        let told = |one: &dyn Fn(&(usize, &str)) -> String| match there.as_slice() {
            [] => "never verified".to_owned(),
            there => there.iter().map(one).collect::<Vec<_>>().join(", ") + &by,
        };
        let (words, short) = (told(&often), told(&|(_, word)| (*word).to_owned()));
        Standing { tone, words, short }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_news_gives_the_tone_and_good_news_its_people() {
        let told = |found: Found| {
            let standing = found.summed();
            (standing.tone, standing.words)
        };
        assert_eq!(told(Found::default()), (Tone::Open, "never verified".into()));
        let who = vec!["ben".to_owned(), "ben".to_owned()];
        let found = Found { identical: 2, who, ..Found::default() };
        assert_eq!(told(found), (Tone::Good, "identical 2 times, by ben".into()));
        let found = Found { identical: 1, diverged: 1, ..Found::default() };
        assert_eq!(told(found), (Tone::Bad, "identical, diverged".into()));
        let found = Found { unverifiable: 1, ..Found::default() };
        assert_eq!(told(found), (Tone::Open, "cannot be verified".into()));
        let who = ["a", "b", "c"].map(str::to_owned).to_vec();
        let found = Found { equivalent: 3, who, ..Found::default() };
        assert_eq!(told(found), (Tone::Good, "equivalent 3 times, by 3 people".into()));
    }
}
