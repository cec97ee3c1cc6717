use super::*;
use crate::categories::{Encoding, Unknown};
use crate::table::{Cells, MISSING};
use crate::transform::Transform;

fn numbers(missing: MissingNumber, indicator: bool, transforms: &[Transform]) -> Form {
    Form::Numbers(NumberPlan { missing, indicator, transforms: transforms.to_vec() })
}

fn words(missing: MissingWord, encoding: Encoding) -> Form {
    Form::Words(WordPlan { missing, encoding })
}

fn plan(columns: &[(&str, Form)]) -> FeaturePlan {
    let column =
        |(name, form): &(&str, Form)| ColumnPlan { column: (*name).into(), form: form.clone() };
    FeaturePlan { columns: columns.iter().map(column).collect() }
}

/// x: 1, missing, 3, 5, 100; w: b, a, b, missing, c.
fn table() -> Table {
    let x = Cells::Numbers(vec![1.0, f64::NAN, 3.0, 5.0, 100.0]);
    let values = vec!["b".into(), "a".into(), "c".into()];
    let w = Cells::Text { values, codes: vec![0, 1, 0, MISSING, 2] };
    let column = |name: &str, cells| Column { name: name.into(), cells };
    let columns = vec![column("x", x), column("w", w), column("s", Cells::Skipped)];
    Table { columns, rows: 5 }
}

const ONE_HOT: Encoding = Encoding::OneHot { unknown: Unknown::Accept };

#[test]
fn columns_become_a_matrix() {
    let plan = plan(&[
        ("x", numbers(MissingNumber::Mean, true, &[Transform::Minmax])),
        ("w", words(MissingWord::Word("none".into()), ONE_HOT)),
    ]);
    let fitted = plan.fit(&table(), &[3, 2, 1, 0]).unwrap();
    let matrix = fitted.apply(&table(), &[4, 1, 3]).unwrap();
    assert_eq!(matrix.names, ["x", "x=missing", "w=a", "w=b", "w=none"]);
    assert_eq!(matrix.rows, [4, 1, 3]);
    assert_eq!(matrix.values[..5], [24.75, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(matrix.values[5..10], [0.5, 1.0, 1.0, 0.0, 0.0]);
    assert_eq!(matrix.values[10..], [1.0, 0.0, 0.0, 0.0, 1.0]);
}

#[test]
fn rows_are_dropped_for_all_columns() {
    let plan = plan(&[
        ("x", numbers(MissingNumber::Drop, false, &[Transform::Minmax])),
        ("w", words(MissingWord::Drop, Encoding::Frequency { unknown: Unknown::Accept })),
    ]);
    let fitted = plan.fit(&table(), &[0, 1, 2, 3]).unwrap();
    let FittedForm::Words(found) = &fitted.columns[1].form else { panic!() };
    // Row 1, the only one with an a, lacks x.
    assert_eq!(found.categories, ["b"]);
    let matrix = fitted.apply(&table(), &[4, 3, 2, 1, 0]).unwrap();
    assert_eq!(matrix.rows, [4, 2, 0]);
    assert_eq!(matrix.values, [49.5, 1.0, 1.0, 0.0, 0.0, 0.0]);
}

#[test]
fn the_order_of_the_training_rows_changes_no_bit() {
    let numbers_of = |i: usize| ((i * 7919) % 1009) as f64 / 7.0;
    let cells = Cells::Numbers((0..1009).map(numbers_of).collect());
    let table = Table { columns: vec![Column { name: "x".into(), cells }], rows: 1009 };
    let plan = plan(&[("x", numbers(MissingNumber::Mean, false, &[Transform::Standard]))]);
    let mut rows = table.all_rows();
    let fitted = plan.fit(&table, &rows).unwrap();
    for turn in [1, 250, 500] {
        rows.rotate_left(turn);
        assert_eq!(plan.fit(&table, &rows).unwrap(), fitted);
    }
}

#[test]
fn other_rows_change_nothing_that_is_fitted() {
    let plan = plan(&[
        ("x", numbers(MissingNumber::Median, true, &[Transform::Log1p, Transform::Standard])),
        ("x", numbers(MissingNumber::Mean, false, &[Transform::Robust])),
        ("w", words(MissingWord::Word("a".into()), ONE_HOT)),
    ]);
    let train = [0, 1, 2];
    let before = plan.fit(&table(), &train).unwrap();
    let mut changed = table();
    changed.columns[0].cells = Cells::Numbers(vec![1.0, f64::NAN, 3.0, f64::INFINITY, -7.0]);
    let values = vec!["b".into(), "a".into(), "zz".into()];
    changed.columns[1].cells = Cells::Text { values, codes: vec![0, 1, 0, 2, 2] };
    assert_eq!(plan.fit(&changed, &train).unwrap(), before);
    assert_eq!(before.apply(&changed, &train), before.apply(&table(), &train));
    // And the training rows do change it.
    changed.columns[0].cells = Cells::Numbers(vec![1.0, f64::NAN, 4.0, 5.0, 100.0]);
    assert_ne!(plan.fit(&changed, &train).unwrap(), before);
}

#[test]
fn a_fitted_state_survives_json_bit_for_bit() {
    let thirds = (0..500).map(|i| (i * i) as f64 / 3.0 + 0.1).collect();
    let columns = vec![Column { name: "x".into(), cells: Cells::Numbers(thirds) }];
    let table = Table { columns, rows: 500 };
    let all = table.all_rows();
    for train in 20..200 {
        let plan = plan(&[
            ("x", numbers(MissingNumber::Mean, false, &[Transform::Log1p, Transform::Standard])),
            ("x", numbers(MissingNumber::Median, true, &[Transform::Robust])),
            ("x", numbers(MissingNumber::Refuse, true, &[Transform::Minmax])),
        ]);
        let fitted = plan.fit(&table, &all[..train]).unwrap();
        let text = serde_json::to_string(&fitted).unwrap();
        let read: Fitted = serde_json::from_str(&text).unwrap();
        assert_eq!(read, fitted);
        assert_eq!(read.apply(&table, &all), fitted.apply(&table, &all));
    }
}

#[test]
fn what_cannot_be_a_feature_is_refused_in_words() {
    let fit = |name: &str, form: Form| {
        plan(&[(name, form)]).fit(&table(), &[0, 1, 2, 3]).unwrap_err().to_string()
    };
    let refuse = numbers(MissingNumber::Refuse, false, &[]);
    let order =
        |words: &[&str]| Encoding::Ordinal { order: words.iter().map(|w| w.to_string()).collect() };
    let b = || MissingWord::Word("b".into());
    for (message, expected) in [
        (fit("x", refuse.clone()), "row 1, column x: '' is missing (see prepare.missing)"),
        (fit("w", refuse.clone()), "column w holds text, but numbers are needed"),
        (
            fit("s", refuse.clone()),
            "column s holds nothing, for it was skipped, but numbers are needed",
        ),
        (
            fit("s", words(MissingWord::Drop, ONE_HOT)),
            "column s holds nothing, for it was skipped, but text or integers are needed",
        ),
        (fit("q", refuse.clone()), "there is no column q: the table has the columns x, w, s"),
        (
            fit("w", words(MissingWord::Refuse, ONE_HOT)),
            "row 3, column w: '' is missing (see prepare.missing)",
        ),
        (
            fit("w", words(b(), order(&["b"]))),
            "row 1, column w: 'a' is none of the fitted categories",
        ),
        (
            fit("w", words(b(), order(&["b", "a", "b"]))),
            "the fitted state of column w is not whole: a category is there twice",
        ),
        (
            fit("x", numbers(MissingNumber::Constant(-1.0), false, &[Transform::Log])),
            "row 1, column x: '' has no logarithm: a number above 0 is needed",
        ),
        (
            fit("x", numbers(MissingNumber::Constant(f64::NAN), false, &[])),
            "missing is NaN: a finite number is needed",
        ),
    ] {
        assert_eq!(message, expected);
    }
    let nothing = plan(&[("x", numbers(MissingNumber::Mean, false, &[]))]);
    assert_eq!(
        nothing.fit(&table(), &[1]).unwrap_err().to_string(),
        "column x has no value in the training rows"
    );
    assert!(nothing.fit(&table(), &[]).is_err() && nothing.fit(&table(), &[9]).is_err());
    assert!(plan(&[]).fit(&table(), &[0]).is_err());
}

#[test]
fn hostile_states_are_refused() {
    let apply = |text: &str| {
        let fitted: Fitted = serde_json::from_str(text).map_err(|e| e.to_string())?;
        fitted.apply(&table(), &[0]).map_err(|e| e.to_string())
    };
    let scale = |shift: &str, divisor: &str| {
        format!(
            r#"{{"columns":[{{"column":"x","form":{{"numbers":{{"missing":"refuse","indicator":false,
            "steps":[{{"scale":{{"shift":{shift},"divisor":{divisor}}}}}]}}}}}}]}}"#
        )
    };
    assert!(apply(&scale("0.5", "2.0")).is_ok());
    assert_eq!(
        apply(&scale("0.5", "0.0")).unwrap_err(),
        "row 0, column x: '1' is not finite after scaling"
    );
    assert!(apply(&scale("1.0", "0.0")).is_err() && apply(&scale("null", "1.0")).is_err());
    assert!(apply(&scale("0.0", "1e-300")).is_err());
    let words = |list: &str| {
        format!(
            r#"{{"columns":[{{"column":"w","form":{{"words":{{"missing":"refuse","one_hot":true,
            "categories":[{list}],"unknown":"accept"}}}}}}]}}"#
        )
    };
    assert!(apply(&words(r#""b""#)).is_ok());
    assert!(apply(&words(r#""b","b""#)).is_err());
    // One-hot without categories has no feature at all.
    assert!(apply(&words("")).is_err());
}

#[test]
fn a_matrix_that_is_too_large_is_refused_before_it_is_made() {
    let categories = (0..1 << 16).map(|i| i.to_string()).chain(["b".into()]).skip(1).collect();
    let (missing, unknown) = (MissingWord::Refuse, Unknown::Refuse);
    let form = FittedForm::Words(FittedWords { missing, one_hot: true, categories, unknown });
    let fitted = Fitted { columns: vec![FittedColumn { column: "w".into(), form }] };
    assert_eq!(fitted.apply(&table(), &[0]).unwrap().values.len(), 1 << 16);
    let error = fitted.apply(&table(), &[0; (1 << 12) + 1]).unwrap_err().to_string();
    assert_eq!(error, "cells of the matrix: 268500992 are too many, the limit is 268435456");
}
