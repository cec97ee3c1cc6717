//! Files of predictions as people write them, and as they break them.

use std::fmt::Write as _;
use std::time::Instant;

use super::Outcomes;
use super::cells::Words;
use super::pair::beside;
use super::read::{Lacks, grid, plan, table};
use crate::compare::source::Source;
use crate::contents::table::form::forms;

/// What both files say, or why nothing follows.
fn asked(
    name: &str,
    a: &[u8],
    b: &[u8],
    columns: Option<(&str, &str)>,
    most: usize,
) -> Result<(Outcomes, bool), String> {
    let (a, b): (&dyn Source, &dyn Source) = (&a, &b);
    let Some((one, other)) = forms(a, b, name).unwrap() else { return Err("no table".into()) };
    let words = |lacks| match lacks {
        Lacks::Names(why) | Lacks::Clear(why) => why,
    };
    let plans = [plan(a, one, columns).unwrap(), plan(b, other, columns).unwrap()];
    let [one, other] = plans.map(|plan| plan.map_err(words));
    let (one, other) = (one?, other?);
    let mut words = Words::default();
    let a = table(a, &one, most, &mut words).unwrap()?;
    let b = table(b, &other, most, &mut words).unwrap()?;
    beside(&a, b, &words)
}

fn csv(a: &str, b: &str) -> Result<(Outcomes, bool), String> {
    asked("p.csv", a.as_bytes(), b.as_bytes(), None, 1000)
}

fn right(a: &[u8], b: &[u8]) -> Outcomes {
    Outcomes::Classes([a, b].map(|right| right.iter().map(|right| *right == 1).collect()))
}

#[test]
fn classes_are_right_or_wrong() {
    let a = "id,label,pred\n1,cat,cat\n2,dog,cat\n3,cat,dog\n";
    let b = "id,label,pred\n1,cat,cat\n2,dog,dog\n3,cat,dog\n";
    assert_eq!(csv(a, b), Ok((right(&[1, 0, 0], &[1, 1, 0]), true)));
    // Joined by id, whatever the order of rows, and of columns.
    let b = "pred,id,y\ndog,3,cat\ncat,1,cat\ndog,2,dog\n";
    assert_eq!(csv(a, b), Ok((right(&[1, 0, 0], &[1, 1, 0]), true)));
}

#[test]
fn numbers_are_labels_by_value_and_words_by_text() {
    let a = "label,pred\n1,1\n2,1\n0,0\n";
    let b = "label,pred\n1.0,1.0\n2.0,02\n-0,1e0\n";
    assert_eq!(csv(a, b), Ok((right(&[1, 0, 1], &[1, 1, 0]), false)));
    let lines =
        "{\"label\":\"1\",\"pred\":1}\n{\"pred\":\"2\",\"label\":2}\n{\"label\":0,\"pred\":3}\n";
    let found = asked("p.jsonl", lines.as_bytes(), lines.as_bytes(), None, 9);
    assert_eq!(found, Ok((right(&[1, 1, 0], &[1, 1, 0]), false)));
    // Tokens: blanks, zeros and marks are words.
    let a = "row,label,predicted\n1, the,the\n2, , \n3,?,?\n4,NA,?\n5,07,7\n6,\"\n\", \n7,x,x\n";
    let Ok((Outcomes::Classes([found, _]), true)) = csv(a, a) else { panic!("{:?}", csv(a, a)) };
    assert_eq!(found, [false, true, true, false, false, false, true]);
    // Somebody's habit of blanks after commas is none.
    let a = "label, pred\ncat, cat\ndog, cat\n";
    assert_eq!(csv(a, a), Ok((right(&[1, 0], &[1, 0]), false)));
    // Long numbers are names, which no float tells apart.
    let a = "label,pred\n12345678901234567890,12345678901234567891\n1,1\n";
    assert_eq!(csv(a, a), Ok((right(&[0, 1], &[0, 1]), false)));
    let a = "{\"label\":true,\"pred\":false}\n{\"label\":false,\"pred\":false}\n";
    let found = asked("p.jsonl", a.as_bytes(), a.as_bytes(), None, 9);
    assert_eq!(found, Ok((right(&[0, 1], &[0, 1]), false)));
}

#[test]
fn quantities_have_errors() {
    let a = "y_true,y_pred\n1.5,2\n2,2\n-1,1e0\n";
    let b = "y_true,y_pred\n1.50,1.5\n2,2.25\n-1, 0\n";
    let expected = Outcomes::Numbers([vec![0.5, 0.0, 2.0], vec![0.0, 0.25, 1.0]]);
    assert_eq!(csv(a, b), Ok((expected, false)));
    // Whole labels that predictions only come near to are quantities too.
    let a = "y,pred\n1,0.5\n0,0\n";
    let expected = Outcomes::Numbers([vec![-0.5, 0.0], vec![-0.5, 0.0]]);
    assert_eq!(csv(a, a), Ok((expected, false)));
}

#[test]
fn what_are_not_the_same_examples_is_refused() {
    let a = "id,label,pred\n1,0,0\n2,1,0\n3,1,1\n";
    let refused = |a: &str, b: &str, why: &str| {
        let error = csv(a, b).unwrap_err();
        assert!(error.contains(why), "{error}");
    };
    refused(a, "id,label,pred\n1,0,0\n2,1,0\n", "the first has 3 examples, the second 2");
    refused(
        a,
        "id,label,pred\n1,0,0\n2,0,0\n3,1,1\n",
        "row 2 of the first (id 2): the label is 1 in",
    );
    refused(a, "id,label,pred\n1,0,0\n2,1,0\n4,1,1\n", "the example 3 of the first is not");
    refused(a, "id,label,pred\n1,0,0\n2,1,0\n2,1,1\n", "the id 2 stands twice in the second");
    refused("id,label,pred\n1,0,0\n2,1,0\n2,1,1\n", a, "the id 2 stands twice in the first");
    refused(a, "id,label,pred\n1,0,0\n2,1,0\n,1,1\n", "row 3 of the second has no id");
    // Without an id swapped rows are seen by their labels.
    refused(
        "label,pred\n0,0\n1,1\n",
        "label,pred\n1,1\n0,0\n",
        "row 1: the label is 0 in the first, 1",
    );
    refused("label,pred\n", "label,pred\n", "no example");
    // The ids of both stand twice, in the same order: they count the rows of batches.
    let batches = "index,label,pred\n0,1,1\n1,0,1\n0,1,0\n";
    assert_eq!(csv(batches, batches), Ok((right(&[1, 0, 0], &[1, 0, 0]), true)));
}

#[test]
fn what_is_no_prediction_is_refused() {
    let good = "label,pred\n1,1\n0,1\n2,2\n";
    let refused = |other: &str, why: &str| {
        let error = csv(good, other).unwrap_err();
        assert!(error.contains(why), "{error}");
    };
    refused("label,pred\n1,1\n0,NaN\n2,2\n", "row 2: the prediction of the second is 'NaN'");
    refused("label,pred\n1,1\n0,inf\n2,2\n", "row 2: the prediction of the second is 'inf'");
    refused("label,pred\n1,1\n0,\n2,2\n", "row 2: the prediction of the second is nothing");
    refused("label,pred\n1,1\n?,1\n2,2\n", "row 2: the label is '?'");
    refused("label,pred\n1,1\n0,0.5\n2,err\n", "the second is 'err', not a number");
    refused("label,pred\n1,1\n0\n2,2\n", "line 3 of the table has 1 fields");
    refused("label,other\n1,1\n0,1\n2,2\n", "its columns are 'label', 'other'");
    refused("label,target,pred\n1,1,1\n", "'label', 'target' could all be the label");
    refused("label,label,pred\n1,1,1\n", "two columns named 'label'");
    let long = format!("label,pred\n{}", "1,1\n".repeat(1001));
    refused(&long, "more than 1000 examples");
    let list = "{\"label\":[1],\"pred\":1}\n";
    let error = asked("p.jsonl", list.as_bytes(), list.as_bytes(), None, 9).unwrap_err();
    assert!(error.contains("line 1, column 'label': a list"), "{error}");
    let late = "{\"label\":1,\"pred\":1}\n{\"label\":1}\n";
    let error = asked("p.jsonl", late.as_bytes(), late.as_bytes(), None, 9).unwrap_err();
    assert!(error.contains("row 2: the prediction of the first is nothing"), "{error}");
    // A name that would steer a terminal is escaped, and a long one cut.
    let mut hostile = "label,pred\n".to_owned();
    let _ = write!(hostile, "\u{1b}[31m{},1\n1,1\n1,1\n", "x".repeat(1000));
    let error = csv(good, &hostile).unwrap_err();
    assert!(!error.contains('\u{1b}') && error.len() < 300, "{error}");
}

#[test]
fn columns_can_be_named_and_counted() {
    let a = "what,is,said\n1,2,2\n2,3,1\n";
    let ask = |text: &str, p, l| asked("p.csv", text.as_bytes(), text.as_bytes(), Some((p, l)), 9);
    assert_eq!(ask(a, "said", "is"), Ok((right(&[1, 0], &[1, 0]), false)));
    let error = ask(a, "sed", "is").unwrap_err();
    assert!(error.contains("'what', 'is', 'said'"), "{error}");
    assert_eq!(ask("5,5,0\n6,7,0\n", "1", "0"), Ok((right(&[1, 0], &[1, 0]), false)));
    assert!(ask("5,5,0\n6,7,0\n", "1", "3").unwrap_err().contains("0 to 2"));
}

/// An npy file of 64-bit floats.
fn npy(shape: &str, values: &[f64]) -> Vec<u8> {
    let head = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((head.len() as u16).to_le_bytes());
    bytes.extend(head.as_bytes());
    values.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
    bytes
}

#[test]
fn arrays_have_columns() {
    let bytes = npy("(2, 2)", &[1.0, 2.0, f64::NAN, 4.0]);
    let read = grid(&bytes.as_slice()).unwrap().unwrap();
    let mut words = Words::default();
    let column = |at, most| read.column(at, most, &mut Words::default());
    assert_eq!(read.width, 2);
    let values: Vec<_> = column(1, 9).unwrap().into_iter().map(|cell| cell.value()).collect();
    assert_eq!(values, [Some(2.0), Some(4.0)]);
    assert_eq!(read.column(0, 9, &mut words).unwrap()[1].shown(&words), "'NaN'");
    assert!(column(1, 1).unwrap_err().contains("more than 1 examples"));
    let error = |bytes: Vec<u8>| grid(&bytes.as_slice()).unwrap().err().unwrap();
    assert!(error(npy("(1, 1, 1)", &[1.0])).contains("not that of columns"));
    assert!(error(npy("(2, 0)", &[])).contains("not that of columns"));
    assert!(error(npy("(3,)", &[1.0])).contains("cut off"));
    assert!(error(npy("(99999999999,)", &[])).contains("more than"));
}

/// Not a measurement: that nothing grows with the square of the number of examples.
#[test]
fn many_examples_take_no_time() {
    let started = Instant::now();
    let (mut a, mut b) = ("id,label,pred\n".to_owned(), "id,label,pred\n".to_owned());
    for row in 0..200_000 {
        let _ = writeln!(a, "img{row},c{},c0", row % 7);
        let _ = writeln!(b, "img{},c{},c1", 199_999 - row, (199_999 - row) % 7);
    }
    let found = asked("p.csv", a.as_bytes(), b.as_bytes(), None, 200_000);
    let Ok((Outcomes::Classes([one, other]), true)) = found else { panic!("{found:?}") };
    let count = |right: &[bool]| right.iter().filter(|right| **right).count();
    assert_eq!((count(&one), count(&other)), (28_572, 28_572));
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
}
