//! Executes a stage: recipe in, outcome out.
//!
//! A stage computes from its inputs in the store and nothing else: no file, variable, clock or
//! entropy can enter, so its record is complete by construction. The clock is asked for when it
//! ran. A training that may resume also trusts what it has written itself, for this recipe, into
//! the registry's own folder; a verification never does.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use lab_arithmetic::{Kernels, Path, battery};
use lab_objects::{Progress, Store};
use lab_schema::{Completeness, Executor, Limits, Object, Outcome, Recipe, Slot, Status, Value};

use crate::checkpoint::{Checkpoints, Resuming};
use crate::error::{Result, TensorError};
use crate::evaluate::evaluate;
use crate::files::Inputs;
use crate::memory;
use crate::prepare::prepare;
use crate::settings::Settings;
use crate::task::{ENGINE, Task, slot};
use crate::train::train;

/// Executes a stage's recipe; its outputs are in the store, durably, when this returns.
///
/// Whatever goes wrong is an error, and nothing has been written then.
pub fn execute(store: &Store, recipe: &Recipe, progress: &dyn Progress) -> Result<Outcome> {
    execute_with(Kernels::detect(), store, recipe, progress, None)
}

/// Like [`execute()`]; a training that was interrupted goes on where it was. What is needed for that
/// is kept in a folder, until it is done.
pub fn execute_resuming(
    store: &Store,
    recipe: &Recipe,
    progress: &dyn Progress,
    resuming: Resuming<'_>,
) -> Result<Outcome> {
    execute_with(Kernels::detect(), store, recipe, progress, Some(resuming))
}

/// Refuses to compute where the known answers do not come out: with other bits under the name of
/// this arithmetic, results would be told from honest ones only by chance. Asked once per process
/// and path.
fn agrees(kernels: &Kernels) -> Result<()> {
    // A library that was compiled for speed over all can switch subnormal numbers off for a whole
    // process at any time, so this is asked each time.
    if !battery::keeps_subnormals() {
        return Err(TensorError::FlushesToZero);
    }
    static KNOWN: OnceLock<(Path, Option<&'static str>)> = OnceLock::new();
    let ask = || (kernels.path(), battery::first_wrong(kernels));
    let (path, wrong) = *KNOWN.get_or_init(ask);
    let wrong = if path == kernels.path() { wrong } else { ask().1 };
    match wrong {
        Some(family) => Err(TensorError::OtherArithmetic { family, path: kernels.path().name() }),
        None => Ok(()),
    }
}

/// Like [`execute()`], on given kernels. The outputs do not depend on them.
pub fn execute_on(
    kernels: Kernels,
    store: &Store,
    recipe: &Recipe,
    progress: &dyn Progress,
) -> Result<Outcome> {
    execute_with(kernels, store, recipe, progress, None)
}

fn execute_with(
    kernels: Kernels,
    store: &Store,
    recipe: &Recipe,
    progress: &dyn Progress,
    resuming: Option<Resuming<'_>>,
) -> Result<Outcome> {
    let Executor::Tensor(tensor) = recipe.executor() else {
        return Err(TensorError::NotATensorProgram);
    };
    if tensor.engine != ENGINE {
        return Err(TensorError::Engine { theirs: tensor.engine.clone(), ours: ENGINE });
    }
    let task = Task::from_name(&tensor.stage)
        .ok_or_else(|| TensorError::UnknownStage(tensor.stage.clone()))?;
    let form = match recipe.params().get("form") {
        Some(Value::Text(form)) => form.as_str(),
        _ => "",
    };
    task.check_inputs(form, recipe.inputs())?;
    if recipe.limits() != Limits::default() {
        return Err(TensorError::Unsupported("limits on time or memory"));
    }
    if recipe.seed().is_some() {
        return Err(TensorError::Unsupported("seed besides those among the parameters"));
    }
    let inputs: Vec<&str> = recipe.inputs().keys().map(Slot::as_str).collect();
    let settings = Settings::check(task.name(), task.settings(), recipe.params(), &inputs)?;
    agrees(&kernels)?;
    memory::keep();
    let started_ms =
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
    let clock = Instant::now();
    let inputs = Inputs { store, contents: recipe.inputs() };
    let mut checkpoints = Checkpoints::new(resuming, recipe.id());
    let product = match task {
        Task::Prepare => prepare(inputs, &settings)?,
        Task::Train => match train(inputs, &settings, kernels, progress, &mut checkpoints) {
            Err(error @ TensorError::NotFinite { .. }) => {
                checkpoints.remove();
                return Err(error);
            }
            product => product?,
        },
        Task::Evaluate => evaluate(inputs, &settings, kernels)?,
    };
    let mut writer = store.writer();
    let mut outputs: BTreeMap<_, _> =
        product.stored.iter().map(|(name, content)| (slot(name), *content)).collect();
    for (name, bytes) in &product.files {
        outputs.insert(slot(name), writer.put_bytes(bytes)?.into());
    }
    writer.finish()?;
    checkpoints.remove();
    Ok(Outcome {
        status: Status::Exited(0),
        outputs,
        metrics: product.metrics,
        logs: BTreeMap::new(),
        completeness: Completeness::Complete,
        params: BTreeMap::new(),
        observed: None,
        unrecorded_variables: Vec::new(),
        started_ms,
        duration_ms: clock.elapsed().as_millis() as u64,
        peak_memory_bytes: None,
    })
}
