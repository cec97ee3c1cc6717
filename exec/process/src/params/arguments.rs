//! Parameters in a command line.
//!
//! What is read, whatever parser the program has:
//!
//! | words | parameter |
//! |---|---|
//! | `--lr 0.1`, `--lr=0.1`, `-lr 0.1`, `-n 5`, `-n5` | the value |
//! | `--flag` before another option or at the end | true |
//! | `--no-flag` | false for `flag`, and takes no value (`--no_flag` is a key like any) |
//! | `lr=0.1`, `+model.depth=3` | the value, as Hydra and its like read it |
//! | `--layers 64 32`, or `--layers 64 --layers 32` | a list: numbers in a row, or an option repeated |
//!
//! A word after an option that is an assignment or an option is not its value. Of a flag that is
//! repeated the last counts. Other words are no parameters.
//!
//! The first word is the program, and an interpreter's own options (`python -u -m train --lr 1`)
//! and those of launchers (`torchrun`, `nice`, `env`) are not the program's. A script that is
//! given as text (`sh -c '...'`) has none that could be told.

use std::collections::BTreeMap;

use lab_schema::Value;

use super::found::{MAX_PARAMS, may_keep, typed};

/// Programs that run a script of shell commands.
const SHELLS: [&str; 6] = ["sh", "bash", "dash", "zsh", "ksh", "fish"];

/// Programs that run a script that is told by its ending.
const INTERPRETERS: [&str; 10] =
    ["Rscript", "bun", "deno", "julia", "lua", "luajit", "node", "octave", "perl", "ruby"];

/// Programs that run another program, with options of their own before it.
const LAUNCHERS: [&str; 36] = [
    "accelerate",
    "catchsegv",
    "chrt",
    "conda",
    "coverage",
    "deepspeed",
    "env",
    "hatch",
    "ionice",
    "kernprof",
    "mamba",
    "micromamba",
    "mpiexec",
    "mpirun",
    "ncu",
    "nice",
    "nohup",
    "nsys",
    "numactl",
    "pdm",
    "perf",
    "pipenv",
    "pixi",
    "poetry",
    "rye",
    "scalene",
    "setsid",
    "srun",
    "stdbuf",
    "strace",
    "taskset",
    "time",
    "timeout",
    "torchrun",
    "uv",
    "xvfb-run",
];

/// Python modules of that kind.
const LAUNCHING_MODULES: [&str; 8] = [
    "accelerate.commands.launch",
    "cProfile",
    "coverage",
    "pdb",
    "profile",
    "torch.distributed.launch",
    "torch.distributed.run",
    "trace",
];

/// How the names of scripts end.
const SCRIPTS: [&str; 11] =
    [".R", ".jl", ".js", ".lua", ".m", ".mjs", ".pl", ".py", ".rb", ".sh", ".ts"];

/// The parameters in a command line.
pub fn params_of_arguments(argv: &[String]) -> BTreeMap<String, Value> {
    let mut options = Options::default();
    options.read(own_arguments(argv));
    options.finish()
}

/// What a program is to its arguments.
#[derive(PartialEq, Eq)]
enum Kind {
    Python,
    Shell,
    Interpreter,
    Launcher,
    Program,
}

fn kind(program: &str) -> Kind {
    let name = program.rsplit('/').next().unwrap_or(program);
    // Versions: `python3.12`.
    let name = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    match name {
        "python" | "pypy" | "ipython" => Kind::Python,
        name if SHELLS.contains(&name) => Kind::Shell,
        name if INTERPRETERS.contains(&name) => Kind::Interpreter,
        name if LAUNCHERS.contains(&name) => Kind::Launcher,
        _ => Kind::Program,
    }
}

fn is_script(word: &str) -> bool {
    !word.starts_with('-') && SCRIPTS.iter().any(|ending| word.ends_with(ending))
}

/// The arguments of what is run in the end; none if that cannot be told.
fn own_arguments(argv: &[String]) -> &[String] {
    let mut rest = argv;
    while let Some((program, arguments)) = rest.split_first() {
        rest = match kind(program) {
            Kind::Program => return arguments,
            Kind::Shell => return after_shell_options(arguments),
            Kind::Interpreter => return after(arguments, is_script),
            Kind::Launcher => arguments,
            Kind::Python => match after_python_options(arguments) {
                Python::Own(arguments) => return arguments,
                Python::Launched(arguments) => arguments,
            },
        };
        // The program that a launcher starts: one that is known, a script, or a path.
        let is_path = |word: &str| ["./", "../", "/"].iter().any(|start| word.starts_with(start));
        let starts =
            |word: &String| kind(word) != Kind::Program || is_script(word) || is_path(word);
        rest = &rest[rest.iter().position(starts).unwrap_or(rest.len())..];
    }
    &[]
}

/// What follows the first word that fits.
fn after(words: &[String], fits: impl Fn(&str) -> bool) -> &[String] {
    let at = words.iter().position(|word| fits(word));
    at.map_or(&[], |at| &words[at + 1..])
}

/// What follows the script of a shell.
fn after_shell_options(arguments: &[String]) -> &[String] {
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let Some(letters) = word.strip_prefix(['-', '+']) else { return words.as_slice() };
        if letters.starts_with('-') {
            if ["-rcfile", "-init-file"].contains(&letters) {
                words.next();
            }
        } else if letters.contains('c') {
            return &[];
        } else if letters.ends_with(['o', 'O']) {
            words.next();
        }
    }
    &[]
}

/// What follows the options of Python.
enum Python<'a> {
    Own(&'a [String]),
    Launched(&'a [String]),
}

fn after_python_options(arguments: &[String]) -> Python<'_> {
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let letters = match word.strip_prefix('-') {
            Some(letters) if !letters.is_empty() => letters,
            _ => break,
        };
        if letters.starts_with('-') {
            if letters == "-check-hash-based-pycs" {
                words.next();
            }
        } else if let Some(at) = letters.find(['m', 'c', 'W', 'X']) {
            // The rest of the word is the value, or the next word.
            let (letter, attached) = letters[at..].split_at(1);
            let value = if attached.is_empty() { words.next().map_or("", |v| v) } else { attached };
            if letter == "m" && LAUNCHING_MODULES.contains(&value) {
                return Python::Launched(words.as_slice());
            }
            if letter == "m" || letter == "c" {
                break;
            }
        }
    }
    Python::Own(words.as_slice())
}

/// The values of each option, in order.
#[derive(Default)]
struct Options {
    values: BTreeMap<String, Vec<Value>>,
}

impl Options {
    fn read(&mut self, words: &[String]) {
        let mut words = words.iter().map(String::as_str).peekable();
        let mut no_more_options = false;
        while let Some(word) = words.next() {
            if word == "--" {
                no_more_options = true;
                continue;
            }
            let Some(option) = option(word).filter(|_| !no_more_options) else {
                if let Some((key, value)) = assignment(word) {
                    self.add(key, typed(value));
                }
                continue;
            };
            if let Some((key, value)) = option.split_once('=') {
                self.add(key, typed(value));
            } else if let Some(key) = word.strip_prefix("--no-") {
                self.add(key, Value::Bool(false));
            } else if let Some((key, number)) = attached_number(word) {
                self.add(key, number);
            } else if let Some(first) = words.next_if(|next| is_value(next)) {
                let first = typed(first);
                let may_go_on = is_number(&first);
                self.add(option, first);
                while let Some(next) = words.next_if(|next| may_go_on && is_number(&typed(next))) {
                    self.add(option, typed(next));
                }
            } else {
                self.add(option, Value::Bool(true));
            }
        }
    }

    fn add(&mut self, key: &str, value: Value) {
        if !is_key(key) || !may_keep(key, &value) {
            return;
        }
        if self.values.len() >= MAX_PARAMS && !self.values.contains_key(key) {
            return;
        }
        let values = self.values.entry(key.to_owned()).or_default();
        if matches!(value, Value::Bool(_)) {
            values.clear();
        }
        values.push(value);
    }

    /// One value stands for itself. A list of very many is none of parameters.
    fn finish(self) -> BTreeMap<String, Value> {
        let one_value = |(key, mut values): (String, Vec<Value>)| match values.len() {
            0 | 1 => Some((key, values.pop()?)),
            ..=MAX_PARAMS => Some((key, Value::List(values))),
            _ => None,
        };
        self.values.into_iter().filter_map(one_value).collect()
    }
}

/// The word without its dashes, if it is an option and not a negative number.
fn option(word: &str) -> Option<&str> {
    let option = word.strip_prefix('-').filter(|_| !is_number(&typed(word)))?;
    Some(option.strip_prefix('-').unwrap_or(option)).filter(|option| !option.is_empty())
}

/// `lr=0.1`. A second `=` makes it the name of a file: `epoch=3-step=100.ckpt`.
fn assignment(word: &str) -> Option<(&str, &str)> {
    let word = word.strip_prefix("++").or(word.strip_prefix('+')).unwrap_or(word);
    let (key, value) = word.split_once('=')?;
    let starts_well = key.starts_with(|c: char| c.is_alphabetic() || c == '_');
    (starts_well && is_key(key) && !value.contains('=')).then_some((key, value))
}

/// `-n5`.
fn attached_number(word: &str) -> Option<(&str, Value)> {
    let option = word.strip_prefix('-')?;
    let (key, number) = option.split_at_checked(1)?;
    let number = Some(typed(number)).filter(is_number)?;
    key.starts_with(|c: char| c.is_ascii_alphabetic()).then_some((key, number))
}

fn is_value(word: &str) -> bool {
    word != "--" && option(word).is_none() && assignment(word).is_none()
}

fn is_number(value: &Value) -> bool {
    matches!(value, Value::Int(_) | Value::Float(_))
}

fn is_key(key: &str) -> bool {
    key.starts_with(|c: char| c.is_alphanumeric() || c == '_')
        && key.chars().all(|c| c.is_alphanumeric() || "_-./:@".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    /// As text, for short tests.
    fn found(line: &str) -> String {
        let found = params_of_arguments(&argv(line));
        found.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn options_and_their_values() {
        for (line, expected) in [
            ("t --lr 0.1 --n=5 -k 3 -depth 2", "depth=2 k=3 lr=0.1 n=5"),
            ("t --lr=1e-3 --name x1 -j4 -n -1 -s=-.5", "j=4 lr=0.001 n=-1 name=\"x1\" s=-0.5"),
            ("t --fast --lr 1 --slow", "fast=true lr=1 slow=true"),
            ("t --no-shuffle data.csv --no_cuda 1", "no_cuda=1 shuffle=false"),
            ("t --shuffle --no-shuffle -v -v", "shuffle=false v=true"),
            ("t --layers 64 32 x --tag a --tag b c", "layers=[64, 32] tag=[\"a\", \"b\"]"),
            ("t --name x 5 --n 5 x 6", "n=5 name=\"x\""),
            ("t --flag true --other False", "flag=true other=false"),
            ("t --a=b=c --empty= --q=", "a=\"b=c\" empty=\"\" q=\"\""),
            ("t", ""),
            ("", ""),
        ] {
            assert_eq!(found(line), expected, "{line}");
        }
        assert!(params_of_arguments(&[]).is_empty());
    }

    #[test]
    fn assignments() {
        for (line, expected) in [
            (
                "t lr=0.1 model.depth=3 +x=1 ++db/engine=pg",
                "db/engine=\"pg\" lr=0.1 model.depth=3 x=1",
            ),
            ("t --multirun lr=0.1 -m a=b", "a=\"b\" lr=0.1 m=true multirun=true"),
            ("t epoch=3-step=10.ckpt =1 3=4 a==b ./x=1 ~y=1", ""),
            ("t -- --lr 1 x=2", "x=2"),
            ("t a=1 a=2", "a=[1, 2]"),
        ] {
            assert_eq!(found(line), expected, "{line}");
        }
    }

    #[test]
    fn what_interpreters_and_launchers_take_is_not_the_programs() {
        for line in [
            "python train.py --lr 1",
            "/usr/bin/python3.12 -u -W ignore -X dev -Wd train.py --lr 1",
            "python -m pkg.train --lr 1",
            "python -um pkg.train --lr 1",
            "python -mpkg.train --lr 1",
            "python -c pass --lr 1",
            "python --check-hash-based-pycs always train.py --lr 1",
            "./train.py --lr 1",
            "bash -e -o pipefail run.sh --lr 1",
            "sh run.sh --lr 1",
            "julia --project=. -t 4 train.jl --lr 1",
            "torchrun --nproc_per_node 2 train.py --lr 1",
            "python -m torch.distributed.run --nproc_per_node 2 train.py --lr 1",
            "env -i A=1 nice -n 5 python -u train.py --lr 1",
            "uv run --with numpy train.py --lr 1",
            "accelerate launch --num_processes 2 train.py --lr 1",
            "timeout 60 ./train --lr 1",
        ] {
            assert_eq!(found(line), "lr=1", "{line}");
        }
        for line in [
            "sh -c --lr=1",
            "bash -o pipefail -c x --lr 1",
            "bash --rcfile x -c x --lr 1",
            "bash -ec x --lr 1",
            "python",
            "python -m",
            "python -u",
            "julia -e --lr=1",
            "nice -n 5",
            "nice nice nice",
            "torchrun -m pkg --lr 1",
            "bash -o",
        ] {
            assert_eq!(found(line), "", "{line}");
        }
    }

    #[test]
    fn secrets_are_left_out() {
        let line = "t --api-key abc --hub_token=x --lr 1 password=x -k s --url https://u:p@h/";
        assert_eq!(found(line), "k=\"s\" lr=1");
    }

    #[test]
    fn hostile_words_are_left_out() {
        let words =
            ["t", "--", "-", "---", "--=", "-=1", "--\0=1", "--a b", "--é=1", "-é1", "\u{1b}[=1"];
        let mut argv: Vec<String> = words.map(str::to_owned).into();
        assert!(params_of_arguments(&argv).is_empty());
        argv.remove(1);
        assert_eq!(params_of_arguments(&argv).into_keys().collect::<Vec<_>>(), ["é", "é1"]);
        let many: Vec<String> = (0..1000).map(|i| format!("--k{i}={i}")).collect();
        assert_eq!(params_of_arguments(&many).len(), MAX_PARAMS);
        let mut list = vec!["t".to_owned(), "--l".to_owned()];
        list.extend((0..301).map(|i| i.to_string()));
        assert!(params_of_arguments(&list).is_empty());
        list.pop();
        assert!(
            matches!(&params_of_arguments(&list)["l"], Value::List(items) if items.len() == 300)
        );
        let long = [
            "t".to_owned(),
            format!("--{}", "k".repeat(1 << 20)),
            format!("-a={}", "v".repeat(1 << 20)),
        ];
        assert!(params_of_arguments(&long).is_empty());
    }
}
