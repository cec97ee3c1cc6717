//! Real tables, against scikit-learn (tests/fixtures/make.py made the expected values).
#![allow(clippy::unwrap_used, missing_docs)]

mod kit;

use kit::{fixture, table};
use lab_preparation::categories::{Encoding, MissingWord, Unknown, WordPlan};
use lab_preparation::features::{ColumnPlan, FeaturePlan, FittedForm, Form};
use lab_preparation::numbers::{MissingNumber, NumberPlan};
use lab_preparation::split::{By, Folds, Shares, fold, split};
use lab_preparation::target::{TargetPlan, Targets};
use lab_preparation::transform::Transform;
use lab_preparation::{Cells, Table};
use serde_json::Value;

fn one(column: &str, form: Form) -> FeaturePlan {
    FeaturePlan { columns: vec![ColumnPlan { column: column.into(), form }] }
}

fn numbers(missing: &str, transforms: &str) -> Form {
    let missing = match missing {
        "mean" => MissingNumber::Mean,
        _ => MissingNumber::Median,
    };
    let transforms = match transforms {
        "standard" => vec![Transform::Standard],
        "minmax" => vec![Transform::Minmax],
        "robust" => vec![Transform::Robust],
        "log1p+standard" => vec![Transform::Log1p, Transform::Standard],
        _ => Vec::new(),
    };
    Form::Numbers(NumberPlan { missing, indicator: false, transforms })
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

/// The rows that the fixtures are fitted to.
fn training(table: &Table) -> Vec<usize> {
    (0..table.rows).filter(|row| row % 3 != 1).collect()
}

#[test]
fn numbers_are_those_of_scikit_learn() {
    let expected: Value = serde_json::from_str(&fixture("sklearn.json")).unwrap();
    let (mut compared, mut worst) = (0, 0f64);
    for name in ["penguins", "diamonds"] {
        let table = table(&format!("{name}.csv"));
        let probe: Vec<usize> =
            floats(&expected[name]["probe"]).into_iter().map(|row| row as usize).collect();
        for (key, values) in expected[name]["numbers"].as_object().unwrap() {
            let [column, missing, transforms] = key.split('/').collect::<Vec<_>>()[..] else {
                panic!()
            };
            let plan = one(column, numbers(missing, transforms));
            let fitted = plan.fit(&table, &training(&table)).unwrap();
            let FittedForm::Numbers(own) = &fitted.columns[0].form else { panic!() };
            let found = own.values(&table, column, &probe).unwrap();
            let rounded = fitted.apply(&table, &probe).unwrap().values;
            for ((found, expected), rounded) in found.iter().zip(floats(values)).zip(rounded) {
                let off = (found - expected).abs() / expected.abs().max(1.0);
                assert!(off < 1e-12, "{key}: {found} {expected}");
                assert_eq!(rounded, *found as f32);
                (compared, worst) = (compared + 1, worst.max(off));
            }
        }
    }
    assert!(compared > 5000, "{compared}");
    // Measured: 2.2e-13, with other orders of summation.
    assert!(worst < 3e-13, "{worst:e}");
}

#[test]
fn categories_are_those_of_scikit_learn() {
    let expected: Value = serde_json::from_str(&fixture("sklearn.json")).unwrap();
    for name in ["penguins", "diamonds"] {
        let table = table(&format!("{name}.csv"));
        let probe: Vec<usize> =
            floats(&expected[name]["probe"]).into_iter().map(|row| row as usize).collect();
        for (column, expected) in expected[name]["words"].as_object().unwrap() {
            let encoding = Encoding::OneHot { unknown: Unknown::Accept };
            let plan = one(
                column,
                Form::Words(WordPlan { missing: MissingWord::Word("none".into()), encoding }),
            );
            let matrix =
                plan.fit(&table, &training(&table)).unwrap().apply(&table, &probe).unwrap();
            let categories = expected["categories"].as_array().unwrap().iter();
            let names = categories.map(|word| format!("{column}={}", word.as_str().unwrap()));
            assert_eq!(matrix.names, names.collect::<Vec<_>>());
            let rows = expected["rows"].as_array().unwrap().iter().flat_map(floats);
            assert!(rows.eq(matrix.values.iter().map(|x| f64::from(*x))), "{column}");
        }
    }
}

fn everything() -> FeaturePlan {
    let column = |name: &str, form| ColumnPlan { column: name.into(), form };
    let words =
        |encoding| Form::Words(WordPlan { missing: MissingWord::Word("none".into()), encoding });
    let robust = |missing| {
        let transforms = vec![Transform::Clip { low: 0.0, high: 1e4 }, Transform::Robust];
        Form::Numbers(NumberPlan { missing, indicator: true, transforms })
    };
    FeaturePlan {
        columns: vec![
            column("bill_length_mm", numbers("mean", "standard")),
            column("bill_depth_mm", numbers("median", "minmax")),
            column("flipper_length_mm", robust(MissingNumber::Median)),
            column("body_mass_g", robust(MissingNumber::Drop)),
            column("island", words(Encoding::OneHot { unknown: Unknown::Refuse })),
            column("sex", words(Encoding::Frequency { unknown: Unknown::Accept })),
        ],
    }
}

/// Whatever test rows hold, nothing that was fitted to the training rows changes.
#[test]
fn nothing_leaks_from_the_test_rows() {
    let table = table("penguins.csv");
    let shares = Shares { by: By::Classes("species".into()), test: 0.2, validation: 0.1, seed: 4 };
    let parts = split(&table, &table.all_rows(), &shares).unwrap();
    assert_eq!((parts.train.len(), parts.validation.len(), parts.test.len()), (241, 34, 69));
    let species = TargetPlan::Class { column: "species".into() };
    let before = (
        everything().fit(&table, &parts.train).unwrap(),
        species.fit(&table, &parts.train).unwrap(),
    );
    let held_out = [&parts.validation[..], &parts.test].concat();
    let mut changed = table.clone();
    for column in &mut changed.columns {
        match &mut column.cells {
            Cells::Numbers(numbers) => {
                held_out.iter().for_each(|row| numbers[*row] = 1e6 + *row as f64)
            }
            Cells::Text { values, codes } => {
                values.push("never seen".into());
                held_out.iter().for_each(|row| codes[*row] = values.len() as u32 - 1);
            }
            Cells::Skipped => (),
        }
    }
    let after = (
        everything().fit(&changed, &parts.train).unwrap(),
        species.fit(&changed, &parts.train).unwrap(),
    );
    assert_eq!(serde_json::to_string(&before).unwrap(), serde_json::to_string(&after).unwrap());
    let matrix = before.0.apply(&table, &parts.train).unwrap();
    assert_eq!(matrix, after.0.apply(&changed, &parts.train).unwrap());
    assert_eq!(matrix.names.len(), 10);
    assert_eq!(matrix.names[6..], ["island=Biscoe", "island=Dream", "island=Torgersen", "sex"]);
    assert!(before.0.apply(&table, &parts.test).is_ok());
    let error = before.0.apply(&changed, &parts.test).unwrap_err().to_string();
    assert!(
        error.ends_with("column island: 'never seen' is none of the fitted categories"),
        "{error}"
    );
}

#[test]
fn real_tables_are_split_by_every_way() {
    let table = table("diamonds.csv");
    let rows = table.all_rows();
    let count = |rows: &[usize], cut: u32| {
        let Cells::Text { codes, .. } = &table.column("cut").unwrap().cells else { panic!() };
        rows.iter().filter(|row| codes[**row] == cut).count() as f64
    };
    let of =
        |by| split(&table, &rows, &Shares { by, test: 0.25, validation: 0.05, seed: 9 }).unwrap();
    let parts = of(By::Classes("cut".into()));
    assert_eq!((parts.test.len(), parts.validation.len()), (13485, 2697));
    for cut in 0..5 {
        assert!((count(&parts.test, cut) - 0.25 * count(&rows, cut)).abs() < 1.0);
        assert!((count(&parts.validation, cut) - 0.05 * count(&rows, cut)).abs() < 1.0);
    }
    let prices = |rows: &[usize]| -> std::collections::BTreeSet<u64> {
        let Cells::Numbers(prices) = &table.column("price").unwrap().cells else { panic!() };
        rows.iter().map(|row| prices[*row] as u64).collect()
    };
    // Prices are integers, so they are words: as keys, and as groups.
    for by in [By::Key("price".into()), By::Groups("price".into())] {
        let parts = of(by);
        assert!((12_500..14_500).contains(&parts.test.len()), "{}", parts.test.len());
        let [a, b, c] = [&parts.train, &parts.validation, &parts.test].map(|rows| prices(rows));
        assert!(a.is_disjoint(&b) && b.is_disjoint(&c) && a.is_disjoint(&c));
    }
    let folds =
        Folds { by: By::Groups("price".into()), count: 10, fold: 3, validation: 0.0, seed: 1 };
    assert_eq!(fold(&table, &rows, &folds).unwrap().test.len(), 5394);
    let wrong = Shares { by: By::Key("carat".into()), test: 0.2, validation: 0.0, seed: 1 };
    let error = split(&table, &rows, &wrong).unwrap_err().to_string();
    assert_eq!(error, "row 0, column carat: '0.23' is no integer, and no text either");
}

#[test]
fn targets_of_real_tables() {
    let diamonds = table("diamonds.csv");
    let price = TargetPlan::Number { column: "price".into(), log: true };
    let fitted = price.fit(&diamonds, &[0, 1, 2]).unwrap();
    let Targets::Numbers(found) = fitted.apply(&diamonds, &diamonds.all_rows()).unwrap() else {
        panic!()
    };
    assert_eq!((found.len(), found[0]), (53_940, 326f64.ln() as f32));
    assert!((fitted.inverse(f64::from(found[0])) - 326.0).abs() < 1e-3);
    let penguins = table("penguins.csv");
    let sex = TargetPlan::Class { column: "sex".into() };
    let error = sex.fit(&penguins, &penguins.all_rows()).unwrap_err().to_string();
    assert_eq!(error, "row 3, column sex: '' is no label");
}
