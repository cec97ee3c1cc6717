//! Resized images, against scipy's linear interpolation (tests/fixtures/make.py).
#![allow(clippy::unwrap_used, missing_docs)]

mod kit;

use kit::fixture;
use lab_preparation::images::Shape;
use lab_preparation::resize::resize;
use serde_json::Value;

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

#[test]
fn resized_images_are_those_of_scipy() {
    let cases: Value = serde_json::from_str(&fixture("resize.json")).unwrap();
    for case in cases.as_array().unwrap() {
        let size = |key: &str| -> Vec<usize> {
            floats(&case[key]).into_iter().map(|side| side as usize).collect()
        };
        let (from, to) = (size("from"), size("to"));
        let x: Vec<f32> = floats(&case["x"]).into_iter().map(|x| x as f32).collect();
        let shape = Shape { height: from[0], width: from[1], channels: 1 };
        let found = resize(&x, 1, shape, to[0], to[1]).unwrap();
        let expected = floats(&case["y"]);
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            // Half a unit in the last place of f32, and some of f64's.
            assert!((f64::from(*found) - expected).abs() <= expected.abs() * 6.1e-8 + 1e-12);
        }
        // Two images with two channels, of which the second is the negative.
        let pairs: Vec<f32> = x.iter().chain(x.iter().rev()).flat_map(|x| [*x, -*x]).collect();
        let both = resize(&pairs, 2, Shape { channels: 2, ..shape }, to[0], to[1]).unwrap();
        assert!(both.chunks(2).zip(&found).all(|(pixel, x)| pixel == [*x, -*x]));
        assert_eq!(both.len(), 4 * found.len());
    }
}
