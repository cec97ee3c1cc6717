//! What being watched costs: pairs of runs, one as it is and one under watch, in turn, and the
//! medians of the ratios of their CPU time (the watcher's own included) and wall time.
//!
//!     cargo bench -p lab-trace [-- COMMAND ...]
//!
//! Without a command: a tight loop of 10,000 opens, the same of 10,000 look-ups in vain, a
//! pipeline over 10,000 files, 1,000 programs, imports of Python's own modules, and nothing. CPU
//! time comes from /proc in ticks of 10 ms, so short work is repeated.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() {
    linux::main();
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;
    use std::process::{Command, Stdio};
    use std::time::Instant;

    use lab_trace::{Answers, Watching, spawn};

    /// Pairs of runs.
    const PAIRS: usize = 7;

    /// CPU and wall seconds, unwatched and watched.
    type Pair = ((f64, f64), (f64, f64));

    pub(super) fn main() {
        let dir = tempfile::tempdir().unwrap();
        let many = dir.path().join("many");
        fs::create_dir(&many).unwrap();
        for i in 0..10_000 {
            fs::write(many.join(format!("{i:05}")), format!("{}\n", i % 97)).unwrap();
        }
        let python = |script: &str| vec!["python3".to_owned(), "-c".to_owned(), script.to_owned()];
        let shell = |script: &str| vec!["sh".to_owned(), "-c".to_owned(), script.to_owned()];
        let named: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
        let work = if named.is_empty() {
            vec![
                ("nothing", vec!["true".to_owned()], 20),
                ("10,000 opens", python("for i in range(10000): open(f'many/{i:05}').close()"), 3),
                (
                    "10,000 look-ups in vain",
                    python("import os\nfor i in range(10000): os.path.exists(f'none/{i}')"),
                    3,
                ),
                (
                    "find, cat, sort, uniq",
                    shell("find many -type f | sort | xargs cat | sort | uniq -c >/dev/null"),
                    3,
                ),
                ("1,000 programs", shell("for i in $(seq 1000); do /bin/true; done"), 1),
                (
                    "import 20 modules",
                    python("import json, sqlite3, email, unittest, asyncio, xml.dom.minidom"),
                    5,
                ),
            ]
        } else {
            vec![("the command", named, 1)]
        };
        println!("{:<26} {:>9} {:>9} {:>7} {:>7}", "", "CPU s", "wall s", "CPU x", "wall x");
        for (name, argv, times) in work {
            let run = |watched| measure(dir.path(), &argv, times, watched);
            run(true);
            let pairs: Vec<_> = (0..PAIRS).map(|_| (run(false), run(true))).collect();
            let of = |f: &dyn Fn(&Pair) -> f64| median(pairs.iter().map(f));
            println!(
                "{name:<26} {:>9.3} {:>9.3} {:>7.2} {:>7.2}",
                of(&|p| p.0.0),
                of(&|p| p.0.1),
                of(&|p| p.1.0 / p.0.0),
                of(&|p| p.1.1 / p.0.1)
            );
        }
    }

    fn watching(spool: &tempfile::TempDir) -> Watching<'_> {
        Watching { spool: spool.path(), inside: false }
    }

    /// CPU and wall seconds of one run, as the mean of several.
    fn measure(folder: &std::path::Path, argv: &[String], times: u32, watched: bool) -> (f64, f64) {
        let spool = tempfile::tempdir().unwrap();
        let (cpu, wall) = (cpu_seconds(), Instant::now());
        for _ in 0..times {
            let mut command = Command::new(&argv[0]);
            command.args(&argv[1..]).current_dir(folder);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            if watched {
                let (mut child, watch) =
                    spawn(&mut command, Some(&watching(&spool)), &Answers::default()).unwrap();
                child.wait().unwrap();
                assert!(watch.finish().gaps.is_empty());
            } else {
                command.status().unwrap();
            }
        }
        let each = f64::from(times);
        ((cpu_seconds() - cpu) / each, wall.elapsed().as_secs_f64() / each)
    }

    /// CPU time of this process and of the children that it has awaited: fields 14 to 17 of
    /// proc_pid_stat(5).
    fn cpu_seconds() -> f64 {
        let stat = fs::read_to_string("/proc/self/stat").unwrap();
        let fields = stat.rsplit_once(')').unwrap().1.split_whitespace().skip(11).take(4);
        fields.map(|ticks| ticks.parse::<f64>().unwrap() / 100.0).sum()
    }

    fn median(values: impl Iterator<Item = f64>) -> f64 {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    }
}
