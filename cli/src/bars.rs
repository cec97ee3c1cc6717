//! Bars for long work: on standard error, only on a terminal, and only for what takes longer
//! than a quarter of a second, so that short commands do not flicker.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lab_objects::Progress;

use crate::ui::Ui;

/// How long work goes on before a bar appears.
const PATIENCE: Duration = Duration::from_millis(250);

/// Shows what the rooms below report.
#[derive(Debug)]
pub(crate) struct Bars {
    shown: bool,
    state: Mutex<Option<Work>>,
}

#[derive(Debug)]
struct Work {
    bar: ProgressBar,
    since: Instant,
    visible: bool,
}

impl Bars {
    /// Bars for this user; none when output is not a terminal.
    pub(crate) fn new(ui: Ui) -> Self {
        Bars { shown: ui.has_bars(), state: Mutex::new(None) }
    }

    fn with(&self, act: impl FnOnce(&mut Option<Work>)) {
        if self.shown {
            // A thread that panicked while it held a bar has not hurt it.
            act(&mut self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        }
    }
}

impl Bars {
    /// Writes lines without tearing a bar.
    pub(crate) fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        self.end();
        write()
    }
}

impl Progress for Bars {
    fn begin(&self, what: &str, total_bytes: Option<u64>) {
        self.with(|state| {
            let bar = ProgressBar::with_draw_target(total_bytes, ProgressDrawTarget::hidden());
            bar.set_message(what.to_owned());
            *state = Some(Work { bar, since: Instant::now(), visible: false });
        });
    }

    fn advance(&self, bytes: u64) {
        self.with(|state| {
            let Some(work) = state else { return };
            work.bar.inc(bytes);
            if !work.visible && work.since.elapsed() > PATIENCE {
                work.visible = true;
                let template = if work.bar.length().is_some() {
                    "{msg}  {bar:26}  {bytes} of {total_bytes}  {eta} left"
                } else {
                    "{msg}  {spinner}  {bytes}"
                };
                let style = ProgressStyle::with_template(template)
                    .unwrap_or_else(|_| ProgressStyle::default_bar())
                    .progress_chars("━╸━");
                work.bar.set_style(style);
                work.bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(15));
            }
        });
    }

    fn end(&self) {
        self.with(|state| {
            if let Some(work) = state.take() {
                work.bar.finish_and_clear();
            }
        });
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.end();
    }
}
