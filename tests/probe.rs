//! What a Python program tells of its seeds and settings, and that it is the same program all the same.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]
#![cfg(target_os = "linux")]

mod kit;

use std::process::Command;

use kit::{Place, allows_boxes, said};
use serde_json::Value;

/// As gymnasium does it, without what is not needed here.
const SEEDING: &str =
    "def np_random(seed=None):\n    return object(), 4711 if seed is None else seed\n";
const ENVIRONMENT: &str = "
from gymnasium.utils import seeding
class Spec:
    id = 'Pole-v1'
class Space:
    def seed(self, seed):
        seeding.np_random(seed)
class Pole:
    spec, action_space = Spec, Space()
    def reset(self, seed=None):
        seeding.np_random(seed)
";
const PROGRAM: &str = "
import random, os, sys
import gymnasium
random.seed(int(open('seed').read()))
pole = gymnasium.Pole()
for episode in range(12):
    pole.reset(seed=episode)
pole.action_space.seed(3)
gymnasium.Pole().reset()
if os.fork() == 0:
    random.seed('in a child')
    os._exit(0)
os.wait()
import inspect, pickle
print(sys.path, random.random(), inspect.ismethod(random.seed), random.seed == random._inst.seed,
      pickle.loads(pickle.dumps(random.seed)).__name__, pickle.loads(pickle.dumps(random.Random.seed)).__name__,
      random.Random(9).random(), file=open('out', 'w'))
";

fn place() -> Option<Place> {
    if Command::new("python3").arg("--version").output().is_err() {
        println!("skipped: no python3 here");
        return None;
    }
    let place = Place::registry();
    place.write("gymnasium/__init__.py", ENVIRONMENT);
    place.write("gymnasium/utils/__init__.py", "");
    place.write("gymnasium/utils/seeding.py", SEEDING);
    place.write("program.py", PROGRAM);
    place.write("seed", "7");
    Some(place)
}

const RUN: [&str; 4] = ["run", "--name", "a", "--"];

/// The seeds of a run: what, value, place.
fn seeds(place: &Place, name: &str) -> Vec<(String, String, String)> {
    let shown = place.lab(["show", name, "--json"]).succeeds().json();
    let text = |seed: &Value, key: &str| seed[key].as_str().unwrap().to_owned();
    let all = shown["seeds"].as_array().unwrap();
    all.iter().map(|s| (text(s, "what"), text(s, "value"), text(s, "place"))).collect()
}

#[test]
fn the_seed_of_every_environment_is_in_the_record() {
    let Some(place) = place() else { return };
    place.lab(RUN.iter().chain(&["python3", "program.py"])).succeeds();
    let all = seeds(&place, "a");
    let of = |what: &str| -> Vec<&str> {
        all.iter().filter(|(name, ..)| name == what).map(|(_, value, _)| value.as_str()).collect()
    };
    let episodes: Vec<String> = (0..12).chain([4711]).map(|n: u32| n.to_string()).collect();
    assert_eq!(of("gymnasium Pole-v1"), episodes);
    assert_eq!(of("gymnasium Space"), ["3"]);
    assert_eq!(of("random"), ["7", "in a child"]);
    assert_eq!(of("random.Random"), ["9"]);
    assert!(all.contains(&("random".into(), "7".into(), "program.py:4".into())), "{all:?}");
    let shown = place.lab(["show", "a"]).succeeds();
    shown.says("seeded    gymnasium Pole-v1: 0, 1, 2, 3, 4, 5, 6, 7 and 5 more");
}

/// With named inputs, in a folder of its own, it tells as much; and its record is the same without.
#[test]
fn a_program_with_named_inputs_tells_its_seeds_too() {
    let Some(place) = place() else { return };
    place.write(
        "train.py",
        "import random, sys\nrandom.seed(int(open('n').read()))\nprint(random.random())\n",
    );
    place.write("n", "17\n");
    let run = |name: &str, more: &[&str]| {
        let args =
            [&["run", "--name", name], more, &["-i", "n", "--", "python3", "train.py"]].concat();
        place.lab(args).succeeds();
        place.lab(["show", name, "--json"]).succeeds().json()
    };
    let with = run("with", &[]);
    assert_eq!(seeds(&place, "with"), [("random".into(), "17".into(), "train.py:2".into())]);
    let without = run("without", &["--no-probe"]);
    assert_eq!(with["recipe"], without["recipe"]);
    assert!(seeds(&place, "without").is_empty());
    if allows_boxes() {
        place.lab(["verify", "with"]).succeeds().says("identical");
    }
}

#[test]
fn two_runs_that_differ_in_a_seed_are_told_apart_by_it() {
    let Some(place) = place() else { return };
    place.lab(RUN.iter().chain(&["python3", "program.py"])).succeeds();
    place.write("seed", "8");
    place.lab(["run", "--name", "b", "--", "python3", "program.py"]).succeeds();
    let said = place.lab(["diff", "a", "b"]).exits(1).says("seed of random");
    let line = said.out.lines().find(|line| line.contains("seed of random")).unwrap();
    assert!(line.contains("7, …") && line.contains("8, …"), "{line}");
    assert!(!said.out.contains("Pole"), "{}", said.out);
    place.lab(["run", "--name", "again", "--", "python3", "program.py"]).succeeds();
    place.lab(["diff", "b", "again"]).succeeds();
}

#[test]
fn the_program_and_its_record_are_the_same_without() {
    let Some(place) = place() else { return };
    place.lab(RUN.iter().chain(&["python3", "program.py"])).succeeds();
    let with = (place.read("out"), place.lab(["show", "a", "--json"]).json());
    place.lab(["run", "--no-probe", "--name", "b", "--", "python3", "program.py"]).succeeds();
    let without = (place.read("out"), place.lab(["show", "b", "--json"]).json());
    assert_eq!(String::from_utf8_lossy(&with.0), String::from_utf8_lossy(&without.0));
    assert_eq!(with.1["recipe"], without.1["recipe"]);
    assert_eq!(seeds(&place, "b"), []);
    for name in ["a", "b"] {
        let shown = place.lab(["show", name]).succeeds().out;
        assert!(!shown.contains("PYTHONPATH") && !shown.contains("LAB_PROBE"), "{shown}");
        place.lab(["verify", name]).succeeds().says("identical");
    }
    place.lab(["diff", "a", "b"]).succeeds();
}

#[test]
fn a_start_up_file_of_the_program_is_run_as_ever() {
    let Some(place) = place() else { return };
    place.write("own/sitecustomize.py", "import builtins\nbuiltins.OWN = 'here'\n");
    place.write("program.py", "import random\nrandom.seed(OWN)\nprint(OWN, file=open('out', 'w'))");
    let path = format!("PYTHONPATH={}", place.at("own").display());
    place.lab(["run", "--env", &path, "--name", "a", "--", "python3", "program.py"]).succeeds();
    assert_eq!(place.read("out"), b"here\n");
    assert_eq!(seeds(&place, "a")[0].1, "here");
    place.lab(["verify", "a"]).succeeds().says("identical");
    // One that fails is no trouble of ours.
    place.write("own/sitecustomize.py", "raise ImportError('no', name='other')\n");
    place.write("program.py", "print(1, file=open('out', 'w'))");
    let mut plain = Command::new("python3");
    plain.env("PYTHONPATH", place.at("own")).current_dir(place.path()).arg("program.py");
    let plain = said(&mut plain);
    let watched = place.lab(["run", "--env", &path, "--", "python3", "program.py"]);
    assert_eq!(plain.code, watched.code);
}

#[test]
fn what_a_program_writes_there_does_no_harm() {
    let Some(place) = place() else { return };
    let script = "cd $LAB_PROBE; printf 'a\\tb\\tc\\n\\nx\\ty\\n\\377\\t\\033[2J\\t\\t\\nd\\t\\033[2J\\te\\n' >1
                  ln -s /etc/passwd 2; mkdir 3; mkfifo 4; head -c 20000000 /dev/zero >5; echo out >HERE/out";
    let script = script.replace("HERE", &place.path().display().to_string());
    place.lab(RUN.iter().chain(&["sh", "-c", script.as_str()])).succeeds();
    let all = seeds(&place, "a");
    let told: Vec<(&str, &str)> = all.iter().map(|(a, b, _)| (a.as_str(), b.as_str())).collect();
    assert_eq!(told, [("a", "b"), ("d", "\\u{1b}[2J")]);
    assert!(!place.lab(["show", "a"]).out.contains('\u{1b}'));
    place.lab(["show", "a"]).says("complete");
}

#[test]
fn steps_tell_too_and_are_reused_as_ever() {
    let Some(place) = place() else { return };
    let steps = "[[step]]\nname = 'a'\nrun = 'python3 program.py'\n";
    place.write("lab.toml", steps);
    place.lab(["run"]).succeeds();
    assert_eq!(seeds(&place, "a").len(), 17);
    place.lab(["run"]).succeeds().says("as before");
    // What tells and what does not is one and the same.
    place.write("lab.toml", format!("probe = false\n{steps}"));
    place.lab(["run"]).succeeds().says("as before");
    place.lab(["run", "--again"]).succeeds();
    assert_eq!(seeds(&place, "a"), []);
    place.lab(["run", "--no-probe"]).exits(2).complains("probe = false");
}

/// Of torch and scikit-learn just what the hook looks for.
const FAKES: [(&str, &str); 8] = [
    (
        "torch/__init__.py",
        "from . import optim, nn
from .utils import data
on = False
def use_deterministic_algorithms(mode): globals()['on'] = mode
def are_deterministic_algorithms_enabled(): return on
def get_num_threads(): return 3
def get_default_dtype(): raise RuntimeError('broken')
",
    ),
    ("torch/optim/__init__.py", "from .optimizer import Optimizer, Adam\n"),
    (
        "torch/optim/optimizer.py",
        "class Optimizer:
    def __init__(self, params, defaults):
        self.param_groups = [dict(params=list(params), **defaults)]
class Adam(Optimizer):
    def __init__(self, params, lr=0.001): super().__init__(params, dict(lr=lr, betas=(0.9, 0.999), foreach=None, odd=object()))
",
    ),
    ("torch/nn/__init__.py", "from .modules.module import Module\n"),
    (
        "torch/nn/modules/module.py",
        "class Module:
    parts, training = (), True
    def train(self, mode=True):
        self.training = mode
        for part in self.parts: part.train(mode)
        return self
    def eval(self): return self.train(False)
",
    ),
    ("torch/utils/data/__init__.py", "from .dataloader import DataLoader\n"),
    (
        "torch/utils/data/dataloader.py",
        "class _BaseDataLoaderIter:
    def __init__(self, loader): self._sampler_iter = iter(loader.batches)
    def _next_index(self): return next(self._sampler_iter)
    def __next__(self): return self._next_index()
class DataLoader:
    def __init__(self, order, batch_size=2):
        self.batch_size, self.drop_last, self.num_workers, self.sampler, self.generator = batch_size, False, 0, order, None
        self.batches = [order[at:at + batch_size] for at in range(0, len(order), batch_size)]
    def __iter__(self):
        walk = _BaseDataLoaderIter(self)
        try:
            while True: yield next(walk)
        except StopIteration: return
",
    ),
    (
        "sklearn/base.py",
        "import functools
def _fit_context(*, prefer_skip_nested_validation):
    def decorator(fit):
        @functools.wraps(fit)
        def wrapper(estimator, *args, **named): return fit(estimator, *args, **named)
        return wrapper
    return decorator
",
    ),
];
const LEARNS: &str = "
import inspect, random
import torch
from sklearn.base import _fit_context
class Forest:
    def __init__(self, trees=(), state=0): self.trees, self.state = trees, state
    def get_params(self, deep=True): return {'random_state': self.state, 'trees': list(self.trees)}
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, x, y=None):
        'Fits.'
        for tree in self.trees: tree.fit(x)
        return self
class Bad(Forest):
    def get_params(self, deep=True): raise KeyError('no')
lr, order, flag = open('settings').read().split()
torch.use_deterministic_algorithms(flag == 'on')
class Net(torch.nn.Module): pass
net, head = Net(), Net()
net.parts = [head]
adam = torch.optim.Adam([1], lr=float(lr))
got = [list(batch) for batch in torch.utils.data.DataLoader([int(n) for n in order])]
net.eval()
Forest([Forest(state=5)], state=4).fit([1])
Bad().fit([1])
random.seed(1)
print(got, head.training, random.random(), inspect.signature(Forest.fit), Forest.fit.__doc__, Forest.fit.__name__,
      inspect.signature(torch.optim.Optimizer.__init__), inspect.signature(torch.nn.Module.train), vars(adam).keys(),
      file=open('out', 'w'))
";

fn learner(settings: &str) -> Option<Place> {
    let place = place()?;
    for (path, text) in FAKES {
        place.write(path, text);
    }
    for folder in ["torch/nn/modules", "torch/utils", "sklearn"] {
        place.write(format!("{folder}/__init__.py"), "");
    }
    place.write("program.py", LEARNS);
    place.write("settings", settings);
    Some(place)
}

/// What else a run told: kind and what, value, place.
fn told(place: &Place, name: &str) -> Vec<(String, String, String)> {
    let shown = place.lab(["show", name, "--json"]).succeeds().json();
    let text = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
    let all = shown["told"].as_array().unwrap();
    let name = |one: &Value| format!("{} {}", text(one, "kind"), text(one, "what"));
    all.iter().map(|one| (name(one), text(one, "value"), text(one, "place"))).collect()
}

#[test]
fn with_which_settings_it_learns_is_in_the_record_and_changes_nothing() {
    let Some(place) = learner("0.1 123456 off") else { return };
    place.lab(RUN.iter().chain(&["python3", "program.py"])).succeeds();
    let with = place.read("out");
    let mut all = told(&place, "a");
    all.retain(|(what, value, _)| {
        what != "order batches" || !value.ends_with(" of 3") || value.len() != 21
    });
    let all: Vec<(&str, &str, &str)> =
        all.iter().map(|(a, b, c)| (a.as_str(), b.as_str(), c.as_str())).collect();
    let expected = [
        ("estimator Forest", "random_state 4; trees (Forest)", "program.py:23"),
        ("flag torch deterministic algorithms", "False", ""),
        (
            "loader DataLoader",
            "batch_size 2; drop_last False; num_workers 0; sampler list",
            "program.py:21",
        ),
        ("mode Net", "train 0; eval 1; last eval", ""),
        ("optimiser Adam", "lr 0.1; betas (0.9, 0.999); foreach None; odd object", "program.py:20"),
        ("threads torch threads", "3", ""),
    ];
    assert_eq!(all, expected);
    assert_eq!(told(&place, "a").len(), expected.len() + 1);
    place.lab(["run", "--no-probe", "--name", "b", "--", "python3", "program.py"]).succeeds();
    assert_eq!(String::from_utf8_lossy(&with), String::from_utf8_lossy(&place.read("out")));
    assert_eq!(told(&place, "b"), []);
    place.lab(["verify", "a"]).succeeds().says("identical");
    place.lab(["run", "--name", "again", "--", "python3", "program.py"]).succeeds();
    place.lab(["diff", "a", "again"]).succeeds();
}

#[test]
fn what_was_told_otherwise_is_a_consequence() {
    let Some(place) = learner("0.1 123456 off") else { return };
    place.lab(RUN.iter().chain(&["python3", "program.py"])).succeeds();
    place.write("settings", "0.2 654321 on");
    place.lab(["run", "--name", "b", "--", "python3", "program.py"]).succeeds();
    let diff = place.lab(["diff", "a", "b", "--json"]).exits(1).json();
    let rows = diff["differs"].as_array().unwrap();
    let of = |layer: &str| -> Vec<(&str, bool)> {
        let own = rows.iter().filter(|row| row["layer"] == layer);
        own.map(|row| (row["what"].as_str().unwrap(), row["consequence"].as_bool().unwrap()))
            .collect()
    };
    let expected =
        ["optimiser Adam (program.py:20)", "order of batches", "torch deterministic algorithms"];
    assert_eq!(of("told"), expected.map(|what| (what, true)));
    assert_eq!(rows[0]["layer"], "data");
}

#[test]
fn a_generator_that_got_no_seed_is_told() {
    let Some(place) = place() else { return };
    place.write("program.py", "import random\nprint(random.random(), file=open('out', 'w'))");
    place.lab(RUN.iter().chain(&["python3", "program.py"])).succeeds();
    assert_eq!(told(&place, "a")[0].0, "unseeded random");
    // Who gives it a state knows where it stands.
    let restored = "random.setstate(random.Random(1).getstate())";
    let draw = "print(random.random(), file=open('out', 'w'))";
    place.write("program.py", format!("import random\n{restored}\n{draw}"));
    place.lab(["run", "--name", "c", "--", "python3", "program.py"]).succeeds();
    assert!(told(&place, "c").iter().all(|(what, ..)| !what.starts_with("unseeded")));
    place.write("program.py", "import random\nprint(1, file=open('out', 'w'))");
    place.lab(["run", "--name", "b", "--", "python3", "program.py"]).succeeds();
    assert_eq!(told(&place, "b"), []);
}
