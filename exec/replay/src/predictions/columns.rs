//! Which columns hold what a model said, what was right, and which example it was of.
//!
//! They are known by the names that the field gives them. Two of one sort are none: nobody can say which is
//! meant.

/// Names of what a model said.
const PREDICTIONS: [&str; 13] = [
    "pred",
    "preds",
    "prediction",
    "predictions",
    "predicted",
    "y_pred",
    "ypred",
    "y_hat",
    "yhat",
    "pred_label",
    "predicted_label",
    "pred_class",
    "predicted_class",
];
/// Names of what was right.
const LABELS: [&str; 14] = [
    "label",
    "labels",
    "target",
    "targets",
    "y_true",
    "ytrue",
    "y",
    "true",
    "truth",
    "ground_truth",
    "gold",
    "true_label",
    "true_class",
    "actual",
];
/// Names of what tells examples apart; the first that is there counts. A table of pandas has no name for it.
const IDS: [&str; 12] = [
    "id",
    "example_id",
    "sample_id",
    "row_id",
    "example",
    "sample",
    "uid",
    "index",
    "idx",
    "row",
    "",
    "unnamed:_0",
];

/// The columns that count, by their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Columns {
    pub(crate) prediction: String,
    pub(crate) label: String,
    pub(crate) id: Option<String>,
}

/// What names say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Guess {
    /// There is no prediction, or no label.
    Nothing,
    /// Two could be meant; in words.
    Unclear(String),
    Clear(Columns),
}

/// The columns by what they are called.
pub(crate) fn guess(names: &[String]) -> Guess {
    let of = |known: &[&str]| -> Vec<&String> {
        names.iter().filter(|name| known.contains(&normal(name).as_str())).collect()
    };
    let (predictions, labels) = (of(&PREDICTIONS), of(&LABELS));
    match (predictions.as_slice(), labels.as_slice()) {
        ([], _) | (_, []) => Guess::Nothing,
        ([prediction], [label]) => Guess::Clear(Columns {
            prediction: (*prediction).clone(),
            label: (*label).clone(),
            id: id(names),
        }),
        ([_], two) => Guess::Unclear(unclear(two, "the label")),
        (two, _) => Guess::Unclear(unclear(two, "the prediction")),
    }
}

/// The column that tells examples apart.
pub(crate) fn id(names: &[String]) -> Option<String> {
    IDS.iter().find_map(|id| names.iter().find(|name| normal(name) == *id)).cloned()
}

/// Whether a start of a file could name a prediction and a label at all.
pub(crate) fn may_name(start: &[u8]) -> bool {
    // Without what stands between words.
    let text = String::from_utf8_lossy(start).to_lowercase().replace(['_', '-', '.', ' '], "");
    let names = |known: &[&str]| known.iter().any(|name| text.contains(&name.replace('_', "")));
    names(&PREDICTIONS) && names(&LABELS)
}

fn unclear(names: &[&String], what: &str) -> String {
    let names: Vec<String> = names.iter().take(4).map(|name| shown(name)).collect();
    format!("{} could all be {what}", names.join(", "))
}

/// A name for a person.
pub(crate) fn shown(name: &str) -> String {
    let start: String = name.chars().take(40).collect();
    let more = if start.len() < name.len() { "…" } else { "" };
    format!("'{}{more}'", start.escape_debug())
}

/// A name in one form: `Y-Pred` and `y_pred` are one.
fn normal(name: &str) -> String {
    let name = name.trim_start_matches('\u{feff}').trim().to_lowercase();
    name.replace(['-', ' ', '.'], "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(all: &[&str]) -> Vec<String> {
        all.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn columns_are_known_by_the_names_of_the_field() {
        for (all, expected) in [
            (&["row", "label", "predicted", "p_0"][..], ("predicted", "label", Some("row"))),
            (&["Y-True", " Y_Pred"], (" Y_Pred", "Y-True", None)),
            (&["", "target", "Prediction"], ("Prediction", "target", Some(""))),
            (&["index", "id", "y", "y_hat"], ("y_hat", "y", Some("id"))),
            (&["\u{feff}id", "gold", "pred"], ("pred", "gold", Some("\u{feff}id"))),
        ] {
            let all = names(all);
            let Guess::Clear(found) = guess(&all) else { panic!("{all:?}") };
            let found = (&*found.prediction, &*found.label, found.id.as_deref());
            assert_eq!(found, expected);
            assert!(may_name(all.join(",").as_bytes()));
        }
        assert_eq!(guess(&names(&["row", "label", "p"])), Guess::Nothing);
        assert_eq!(guess(&names(&["predicted"])), Guess::Nothing);
        assert!(!may_name(b"step,loss\n1,0.3\n"));
        for two in [["pred", "y_pred", "label"], ["pred", "target", "label"]] {
            assert!(matches!(guess(&names(&two)), Guess::Unclear(_)), "{two:?}");
        }
    }
}
