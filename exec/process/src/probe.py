"""Notes which seeds a program gives to its generators of random numbers, and with which settings it learns, for the
record of its run.

`lab run` puts the folder of this file first on PYTHONPATH, under the name sitecustomize.py, and names a folder in
LAB_PROBE; `lab run --no-probe` does not. A function that takes a seed is replaced, when its module is imported, by one
that calls it and writes down what it was given: one line for each seed, place and generator that was not seen before, of
three fields with tabs between. What is no seed has a word for its kind and a colon in front. Nothing else of the program
is changed, and nothing that goes wrong here is its trouble.
This runs in whatever Python the program is run by.
"""
import atexit
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.environ.get("LAB_PROBE")
START = os.getcwd() + os.sep if FOLDER else ""
# Most different seeds of a process that are written down.
MOST = 1000
# Most characters of the first and the last field, and of what was noted.
SHORT, LONG = 200, 2000


def chain():
    """Gives way to the sitecustomize that would have been found without us."""
    ours = sys.modules.get("sitecustomize")
    sys.path[:] = [folder for folder in sys.path if folder != HERE]
    sys.path_importer_cache.pop(HERE, None)
    if ours is None or getattr(ours, "__file__", None) != __file__:
        return
    del sys.modules["sitecustomize"]
    try:
        import sitecustomize  # noqa: F401
    except ImportError as error:
        if getattr(error, "name", "sitecustomize") != "sitecustomize":
            raise
    finally:
        sys.modules.setdefault("sitecustomize", ours)


def place(frame):
    """Which line of the program's own files is at work."""
    while frame is not None:
        path = frame.f_code.co_filename
        parts = path.split(os.sep)
        foreign = "site-packages" in parts or "dist-packages" in parts or path == __file__
        if not foreign and not path.startswith(("<frozen", LIBRARY)):
            if path.startswith(START):
                path = path[len(START):]
            return "%s:%d" % (path, frame.f_lineno)
        frame = frame.f_back
    return ""


SEEN = set()
LIBRARY = os.path.dirname(os.path.abspath(os.__file__)) + os.sep


def note(what, value, frame):
    """Writes down a seed that was not seen before in this place."""
    try:
        fields = (what, SHORT), (value, LONG), (place(frame), SHORT)
        line = tuple(" ".join(str(field)[:most].split()) for field, most in fields)
        if line in SEEN or len(SEEN) >= MOST:
            return
        SEEN.add(line)
        file = os.open(os.path.join(FOLDER, str(os.getpid())), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(file, ("\t".join(line) + "\n").encode("utf-8", "replace"))
        finally:
            os.close(file)
    except Exception:
        pass


def like(ours, theirs):
    """Lets a function of ours pass for another, also where it is pickled by its name."""
    for attribute in ("__name__", "__qualname__", "__module__", "__doc__"):
        try:
            setattr(ours, attribute, getattr(theirs, attribute))
        except Exception:
            pass
    ours.__wrapped__ = theirs
    return ours


def replace(module, name, what, value):
    """Lets a function of a module write down `value` of its arguments and its result."""
    function = getattr(module, name, None)
    if function is None:
        return

    def noted(*args, **named):
        result = function(*args, **named)
        which = what(sys._getframe(1))
        GIVEN.add(which)
        note(which, value(args, named, result), sys._getframe(1))
        return result

    setattr(module, name, like(noted, function))


def methods_of_random(module):
    """The seed of `random` is that of a hidden generator; those that a program makes have theirs as well."""
    seed = module.Random.seed

    def noted(self, *args, **named):
        seed(self, *args, **named)
        value = given(args, named, None)
        if self is module._inst:
            GIVEN.add("random")
            note("random", value, sys._getframe(1))
        elif value is not None:
            note("random.Random", value, sys._getframe(1))

    module.Random.seed = like(noted, seed)
    module.seed = module._inst.seed
    restored(module, "setstate", "random")
    unseeded("random", lambda: module._inst.getstate())


def given(args, named, _result):
    """The first argument, whatever its name."""
    for value in args:
        return value
    for value in named.values():
        return value
    return None


def drawn(_args, _named, result):
    """The seed that gymnasium's np_random gives back: the one it was given, or one that it drew."""
    return result[1]


def of(name):
    return lambda _frame: name


def environment(frame):
    """What is seeded, by the name under which gymnasium made it."""
    owner = frame.f_locals.get("self")
    spec = getattr(owner, "spec", None)
    return "gymnasium " + (getattr(spec, "id", None) or type(owner).__name__ if owner is not None else "")


# Generators that were given a seed, or a state.
GIVEN = set()


def restored(module, name, what):
    """Who gives a generator a state knows where it stands, as with a seed."""
    function = getattr(module, name, None)
    if function is None:
        return

    def noted(*args, **named):
        GIVEN.add(what)
        return function(*args, **named)

    setattr(module, name, like(noted, function))


def unseeded(what, state):
    """At the end: whether a generator that nobody gave a seed was drawn from. Its state is looked at, never moved."""
    first = state()

    def look():
        if what not in GIVEN and state() != first:
            note("unseeded: " + what, "drawn from, and never given a seed", None)

    at_end(look)


def at_end(look):
    """Looks when the program ends by itself; a worker of it may be ended any time, so it tells nothing then."""
    mine = os.getpid()

    def safely():
        try:
            main = getattr(getattr(sys.modules.get("__main__"), "__spec__", None), "name", None) or ""
            workers = sys.modules.get("multiprocessing.process")
            parent = getattr(workers, "parent_process", lambda: None)()
            if os.getpid() == mine and parent is None and "loky" not in main:
                look()
        except Exception:
            pass

    atexit.register(safely)


def plain(value, deep=True):
    """A value in words that are the same in every process: no addresses."""
    if value is None or type(value) in (bool, int, float, str):
        return str(value)[:SHORT]
    if type(value) in (tuple, list) and deep:
        return "(%s)" % ", ".join(plain(part, False) for part in value[:8])
    name = getattr(value, "__name__", None)
    return name if type(name) is str else type(value).__name__


def settings(pairs):
    return "; ".join("%s %s" % (name, plain(value)) for name, value in pairs)


def after(owner, name, tell):
    """Lets a method tell once it has done its work; what goes wrong in telling is not the program's trouble."""
    method = getattr(owner, name)

    def noted(self, *args, **named):
        result = method(self, *args, **named)
        try:
            frame = sys._getframe(1)
            # The line that makes it, not those in which its class calls those that it is made of.
            while frame.f_code.co_name == name == "__init__" and frame.f_locals.get("self") is self:
                frame = frame.f_back
            tell(self, frame)
        except Exception:
            pass
        return result

    setattr(owner, name, like(noted, method))


def optimisers(module):
    def tell(self, frame):
        for group in self.param_groups[:8]:
            pairs = [(key, value) for key, value in group.items() if key != "params"]
            note("optimiser: " + type(self).__name__, settings(pairs), frame)

    after(module.Optimizer, "__init__", tell)


def loaders(module):
    def tell(self, frame):
        names = ("batch_size", "drop_last", "num_workers")
        pairs = [(name, getattr(self, name)) for name in names]
        pairs.append(("sampler", type(self.sampler)))
        if self.generator is not None:
            pairs.append(("generator", self.generator.initial_seed()))
        note("loader: " + type(self).__name__, settings(pairs), frame)

    after(module.DataLoader, "__init__", tell)
    # The hash of whole numbers is the same in every process; a module of digests would be read by the program then.
    order, count = [0], [0]
    method = module._BaseDataLoaderIter._next_index

    def next_index(self):
        index = method(self)
        try:
            if type(index) is int or type(index) is list and all(type(one) is int for one in index):
                order[0] = hash((order[0], index if type(index) is int else tuple(index)))
                count[0] += 1
        except Exception:
            pass
        return index

    module._BaseDataLoaderIter._next_index = like(next_index, method)

    def look():
        if count[0]:
            note("order: batches", "%016x of %d" % (order[0] & (1 << 64) - 1, count[0]), None)

    at_end(look)


def modes(module):
    """In which mode the models of a class were put, by calls from outside of them, and in which last."""
    import _thread

    inside, put = _thread._local(), {}
    method = module.Module.train

    def train(self, *args, **named):
        if getattr(inside, "call", False):
            return method(self, *args, **named)
        inside.call = True
        try:
            result = method(self, *args, **named)
        finally:
            inside.call = False
        name = type(self).__name__
        if name in put or len(put) < 100:
            counts = put.setdefault(name, [0, 0, None])
            word = self.__dict__.get("training")
            counts[0 if word else 1] += 1
            counts[2] = "train" if word else "eval"
        return result

    module.Module.train = like(train, method)

    def look():
        for name in sorted(put):
            note("mode: " + name, "train %d; eval %d; last %s" % tuple(put[name]), None)

    at_end(look)


# What of torch decides which arithmetic computes, the newer name of a thing first.
FLAGS = [
    ("deterministic algorithms", ["are_deterministic_algorithms_enabled"]),
    ("cuDNN benchmark", ["backends.cudnn.benchmark"]),
    ("cuDNN deterministic", ["backends.cudnn.deterministic"]),
    ("cuDNN TF32", ["backends.cudnn.fp32_precision", "backends.cudnn.allow_tf32"]),
    ("matmul TF32", ["backends.cuda.matmul.fp32_precision", "backends.cuda.matmul.allow_tf32"]),
    ("default dtype", ["get_default_dtype"]),
]
THREADS = [("threads", ["get_num_threads"]), ("interop threads", ["get_num_interop_threads"])]


def flags(module):
    def read(paths):
        for path in paths:
            try:
                value = module
                for part in path.split("."):
                    value = getattr(value, part)
                value = value() if callable(value) else value
                known = type(value) in (bool, int, str) or type(value).__name__ == "dtype"
                return str(value) if known else None
            except Exception:
                continue

    def look():
        warnings = sys.modules.get("warnings")
        if warnings is None:
            return tell()
        # A name that torch is about to drop is no trouble of the program's.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tell()

    def tell():
        for kind, table in (("flag: torch ", FLAGS), ("threads: torch ", THREADS)):
            for name, paths in table:
                value = read(paths)
                if value is not None:
                    note(kind + name, value, None)

    at_end(look)


def estimators(module):
    """The settings of what is fitted by the program itself, not of what that fits in turn."""
    import _thread

    theirs, inside, once = module._fit_context, _thread._local(), set()

    def tell(estimator, name, frame):
        code, line = frame.f_code, frame.f_lineno
        # Batch after batch: each line once.
        if name == "partial_fit":
            key = (type(estimator), code, line)
            if key in once or len(once) >= MOST:
                return
            once.add(key)
        if place(frame):
            pairs = sorted(estimator.get_params().items())
            note("estimator: " + type(estimator).__name__, settings(pairs), frame)

    def _fit_context(*args, **named):
        decorate = theirs(*args, **named)

        def decorator(fit):
            method = decorate(fit)

            def noted(estimator, *args, **named):
                if getattr(inside, "call", False):
                    return method(estimator, *args, **named)
                try:
                    tell(estimator, fit.__name__, sys._getframe(1))
                except Exception:
                    pass
                inside.call = True
                try:
                    return method(estimator, *args, **named)
                finally:
                    inside.call = False

            return like(noted, method)

        return decorator

    module._fit_context = like(_fit_context, theirs)


def of_numpy(module):
    replace(module, "seed", of("numpy.random"), given)
    replace(module, "default_rng", of("numpy default_rng"), given)
    state = module.mtrand._rand.get_state

    def now():
        inner = state(legacy=False)["state"]
        return (inner["key"].tobytes(), inner["pos"])

    restored(module, "set_state", "numpy.random")
    unseeded("numpy.random", now)


WATCHED = {
    "random": methods_of_random,
    "numpy.random": of_numpy,
    "torch": flags,
    "torch.nn.modules.module": modes,
    "torch.optim.optimizer": optimisers,
    "torch.utils.data.dataloader": loaders,
    "sklearn.base": estimators,
    "torch.random": [("manual_seed", of("torch"), given)],
    "gymnasium.utils.seeding": [("np_random", environment, drawn)],
    "gym.utils.seeding": [("np_random", environment, drawn)],
}


def change(module):
    """Lets the functions of a module tell; nothing is changed of one that is not as expected."""
    functions = WATCHED[module.__name__]
    try:
        if callable(functions):
            functions(module)
        else:
            for function in functions:
                replace(module, *function)
    except Exception:
        pass


class Finder(object):
    """Leaves it to others to find modules; those that are watched are changed once they are there."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name not in WATCHED:
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec = find(name, path, target) if find is not None and finder is not cls else None
            if spec is not None:
                break
        else:
            return None
        loader = spec.loader
        try:
            run = loader.exec_module

            def exec_module(module):
                del loader.exec_module
                run(module)
                change(module)

            loader.exec_module = exec_module
        except AttributeError:
            pass
        return spec


chain()
if FOLDER and sys.version_info >= (3, 6):
    for known in WATCHED:
        if known in sys.modules:
            change(sys.modules[known])
    sys.meta_path.insert(0, Finder)
