"""Notes which seeds a program gives to its generators of random numbers, for the record of its run.

`lab run` puts the folder of this file first on PYTHONPATH, under the name sitecustomize.py, and names a folder in
LAB_PROBE; `lab run --no-probe` does not. A function that takes a seed is replaced, when its module is imported, by one
that calls it and writes down what it was given: one line for each seed, place and generator that was not seen before, of
three fields with tabs between. Nothing else of the program is changed, and nothing that goes wrong here is its trouble.
This runs in whatever Python the program is run by.
"""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.environ.get("LAB_PROBE")
START = os.getcwd() + os.sep if FOLDER else ""
# Most different seeds of a process that are written down.
MOST = 1000


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
        line = tuple(" ".join(str(field)[:200].split()) for field in (what, value, place(frame)))
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
        note(what(sys._getframe(1)), value(args, named, result), sys._getframe(1))
        return result

    setattr(module, name, like(noted, function))


def methods_of_random(module):
    """The seed of `random` is that of a hidden generator; those that a program makes have theirs as well."""
    seed = module.Random.seed

    def noted(self, *args, **named):
        seed(self, *args, **named)
        value = given(args, named, None)
        if self is module._inst:
            note("random", value, sys._getframe(1))
        elif value is not None:
            note("random.Random", value, sys._getframe(1))

    module.Random.seed = like(noted, seed)
    module.seed = module._inst.seed


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


WATCHED = {
    "random": methods_of_random,
    "numpy.random": [("seed", of("numpy.random"), given), ("default_rng", of("numpy default_rng"), given)],
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
