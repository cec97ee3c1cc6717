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

impl Work {
    fn new(what: &str, total: Option<u64>, template: &str) -> Work {
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden());
        let style = ProgressStyle::with_template(template).expect("the templates are in this file");
        bar.set_style(style.progress_chars("━╸━"));
        bar.set_message(what.to_owned());
        Work { bar, since: Instant::now(), visible: false }
    }

    fn show_if_long(&mut self) {
        if !self.visible && self.since.elapsed() > PATIENCE {
            self.visible = true;
            self.bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(15));
        }
    }
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
        let template = match total_bytes {
            Some(_) => "{msg}  {bar:26}  {decimal_bytes} of {decimal_total_bytes}  {eta} left",
            None => "{msg}  {spinner}  {decimal_bytes}",
        };
        self.with(|state| *state = Some(Work::new(what, total_bytes, template)));
    }

    fn advance(&self, bytes: u64) {
        self.with(|state| {
            if let Some(work) = state {
                work.bar.inc(bytes);
                work.show_if_long();
            }
        });
    }

    fn step(&self, what: &str, done: u64, total: u64) {
        self.with(|state| {
            let template = "{msg}  {bar:26}  {pos} of {len}, {per_sec:1}, {eta} left";
            let work = state.get_or_insert_with(|| {
                let work = Work::new(what, Some(total), template);
                // What was done before it went on says nothing of how fast it is now.
                work.bar.set_position(done);
                work.bar.reset_eta();
                work
            });
            work.bar.set_message(what.to_owned());
            work.bar.set_position(done);
            work.show_if_long();
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
