//! What each operation of a computation gives, by digest, for finding the first that differs.
//!
//! Off, it costs a look at a variable of the thread per operation. A graph is built and walked back
//! by one thread, so that is where the notes are.

use std::cell::RefCell;
use std::collections::BTreeMap;

use lab_schema::Digest;

/// The context of the digests.
const CONTEXT: &str = "lab 2026-11-30 result of an operation";

/// What an operation gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    /// Which: the way, the layer, the operation.
    pub(crate) what: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) digest: String,
    /// Whether all numbers are.
    pub(crate) finite: bool,
}

#[derive(Default)]
struct Trace {
    /// The layer that is being computed.
    layer: String,
    /// Which operation made the tensor of this number.
    made: BTreeMap<u64, String>,
    notes: Vec<Note>,
}

thread_local! {
    static TRACE: RefCell<Option<Trace>> = const { RefCell::new(None) };
}

/// Notes all operations of `run`.
pub(crate) fn recording<T>(run: impl FnOnce() -> T) -> (T, Vec<Note>) {
    /// Ends it whatever happens.
    struct Guard;
    impl Drop for Guard {
        fn drop(&mut self) {
            TRACE.with_borrow_mut(|trace| *trace = None);
        }
    }
    TRACE.with_borrow_mut(|trace| *trace = Some(Trace::default()));
    let guard = Guard;
    let value = run();
    let notes = TRACE.with_borrow_mut(Option::take).map_or_else(Vec::new, |trace| trace.notes);
    drop(guard);
    (value, notes)
}

/// The digest of some numbers, in hexadecimal digits.
pub(crate) fn digest(values: &[f32]) -> String {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    Digest::derive(CONTEXT, &bytes).to_string()
}

fn with(note: impl FnOnce(&mut Trace)) {
    TRACE.with_borrow_mut(|trace| trace.as_mut().map(note));
}

impl Trace {
    fn note(&mut self, what: String, shape: &[usize], values: &[f32]) {
        let finite = values.iter().all(|value| value.is_finite());
        self.notes.push(Note { what, shape: shape.to_vec(), digest: digest(values), finite });
    }
}

/// What follows belongs to this layer.
pub(crate) fn layer(name: &str) {
    with(|trace| name.clone_into(&mut trace.layer));
}

/// An operation made the tensor of this number.
pub(crate) fn forward(
    number: u64,
    operation: &str,
    shape: &[usize],
    values: impl FnOnce() -> candle_core::Result<Vec<f32>>,
) -> candle_core::Result<()> {
    let mut result = Ok(());
    with(|trace| {
        let which = format!("{} {operation}", trace.layer).trim_start().to_owned();
        match values() {
            Ok(values) => trace.note(format!("forward {which}"), shape, &values),
            Err(error) => result = Err(error),
        }
        trace.made.insert(number, which);
    });
    result
}

/// The operation that made the tensor of this number has a gradient in its input `input`.
pub(crate) fn backward(number: u64, input: usize, shape: &[usize], gradient: &[f32]) {
    with(|trace| {
        let which = trace.made.get(&number).cloned().unwrap_or_default();
        trace.note(format!("backward {which}, input {}", input + 1), shape, gradient);
    });
}

/// A parameter has this gradient, or this value from now on.
pub(crate) fn parameter(what: &str, name: &str, shape: &[usize], values: &[f32]) {
    with(|trace| trace.note(format!("{what} {name}"), shape, values));
}
