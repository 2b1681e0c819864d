"""The process in which a program runs when there is no better sandbox: one request in, one result out, then gone.

Defence in depth, not a proof: the rules of `sandbox_rules` keep the program away from the interpreter's own objects,
it sees a short list of built-ins and copies of modules that hold public functions only, and the process has given up
files, network, processes and memory (`sandbox_lockdown`) before the program's first line. `pydantic-monty`, whose
interpreter has none of these things to begin with, is the first choice.
Started as a file by `python -s -S -P`, so it loads its neighbours by path and imports nothing of the package.
"""

import builtins
import collections
import functools
import json
import os
import random
import sys
import types
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

EXTRA_DEPTH = 40  # interpreter frames below the program's first, and inside the modules that it may call
VALUE = "__value__"  # where the last expression's value goes; no program can write this name
INTERNAL = ("_strptime", "time")  # what datetime's methods import in the program's name; the rules refuse both to it
PUBLIC = {
    "builtins": "abs all any ascii bin bool bytearray bytes callable chr classmethod complex dict divmod enumerate "
    "filter float format frozenset hash hex int isinstance issubclass iter len list map max min next object oct ord "
    "pow property range repr reversed round set slice sorted staticmethod str sum super tuple zip "
    "True False None Ellipsis NotImplemented __build_class__",
    "collections": "Counter OrderedDict defaultdict deque",
    "datetime": "MAXYEAR MINYEAR date datetime time timedelta timezone",
    "decimal": "Decimal DecimalException DivisionByZero InvalidOperation ROUND_CEILING ROUND_DOWN ROUND_FLOOR "
    "ROUND_HALF_DOWN ROUND_HALF_EVEN ROUND_HALF_UP ROUND_UP getcontext localcontext",
    "fractions": "Fraction",
    "functools": "cache cmp_to_key lru_cache partial reduce total_ordering",
    "itertools": "accumulate chain combinations combinations_with_replacement compress count cycle dropwhile "
    "filterfalse groupby islice pairwise permutations product repeat starmap takewhile tee zip_longest",
    "json": "JSONDecodeError dumps loads",
    "math": "acos acosh asin asinh atan atan2 atanh cbrt ceil comb copysign cos cosh degrees dist e erf erfc exp exp2 "
    "expm1 fabs factorial floor fmod frexp fsum gamma gcd hypot inf isclose isfinite isinf isnan isqrt lcm ldexp "
    "lgamma log log10 log1p log2 modf nan nextafter perm pi pow prod radians remainder sin sinh sqrt tan tanh tau "
    "trunc ulp",
    "random": "betavariate choice choices expovariate gammavariate gauss getrandbits lognormvariate normalvariate "
    "paretovariate randint random randrange sample seed shuffle triangular uniform vonmisesvariate weibullvariate",
    "re": "A ASCII DOTALL I IGNORECASE M MULTILINE S U UNICODE VERBOSE X compile error escape findall finditer "
    "fullmatch match search split sub subn",
    "statistics": "StatisticsError correlation covariance fmean geometric_mean harmonic_mean linear_regression mean "
    "median median_high median_low mode multimode pstdev pvariance quantiles stdev variance",
    "typing": "Any Callable Dict FrozenSet Iterable Iterator List Mapping Optional Sequence Set Tuple Union",
}


def main() -> None:
    """Read the request, lock the process down, run the program, write the result."""
    sys.path.append(os.path.dirname(os.path.abspath(__file__)))  # last, so that no file there hides a standard module
    rules, values, lockdown = (import_module(f"sandbox_{name}") for name in ("rules", "values", "lockdown"))
    request = json.loads(sys.stdin.buffer.read())
    run = Run(request, rules, values)
    sys.stderr = None
    filtered = lockdown.lock(seconds=request["seconds"], memory_mb=request["memory_mb"])
    for name in ("ctypes", "_ctypes", "os", "posix"):
        sys.modules.pop(name, None)
    _write({"ready": True, "filtered": filtered})
    _write(run.outcome())
    os._exit(0)


class Run:
    """One program: its namespace, what it prints, and how it ends."""

    def __init__(self, request: Mapping[str, Any], rules: types.ModuleType, values: types.ModuleType):
        self.request = request
        self.values = values
        self.printed: list[str] = []
        self.room = int(request["output_chars"])
        tree = rules.checked(request["code"], request["inputs"])
        self.modules = {name: _module(name, request["seed"]) for name in _imported(rules, tree)}
        self.compiled = functools.partial(_compiled, rules, tree)
        self.namespace = {**request["inputs"], "__name__": "__main__", "__builtins__": self._builtins(rules)}

    def outcome(self) -> dict[str, Any]:
        """Run the program and return how it ended, as plain JSON values."""
        kind, error, found = "done", None, {}
        try:
            sys.setrecursionlimit(self.request["recursion"] + EXTRA_DEPTH)
            exec(self.compiled(), self.namespace)  # noqa: S102 - the one place where the fallback runs foreign code
            found = self._found()
        except self.values.NotPlain as failure:
            kind, error = failure.kind, str(failure)
        except MemoryError:
            kind, error = "memory", ""
        except BaseException as failure:  # whatever foreign code raises is its result
            kind, error = "error", _sentence(failure, self.values)
        if self.room < 0:
            kind, error, found = "output", "", {}
        printed = "".join(self.printed)[: self.request["output_chars"]]
        return {"kind": kind, "error": error, "values": found, "printed": printed}

    def _found(self) -> dict[str, Any]:
        wants = self.request["wants"]
        if not wants:
            wants = {"result": self._answer()}
            wants = wants if wants["result"] is not None else {}
        else:
            missing = [name for name in wants if name not in self.namespace]
            if missing:
                raise self.values.NotPlain(f"the code never sets '{missing[0]}'")
            wants = {name: self.namespace[name] for name in wants}
        sys.setrecursionlimit(1000)  # the program has ended; what follows is ours
        most = self.request["output_chars"]
        found = {name: self.values.plain(value, name, most_chars=most) for name, value in wants.items()}
        self.values.plain(found, "result", most_chars=most)
        return found

    def _answer(self) -> Any:
        for name in (VALUE, *self.request["answer_names"], "solution"):
            value = None if name in self.request["inputs"] else self.namespace.get(name)
            if value is not None:
                return value() if name == "solution" and callable(value) else value
        return None

    def _print(self, *parts: Any, sep: str | None = " ", end: str | None = "\n", flush: bool = False) -> None:
        text = (" " if sep is None else sep).join(map(str, parts)) + ("\n" if end is None else end)
        if self.room >= 0:
            self.printed.append(self.values.clean_text(text[: self.room + 1]))
            self.room -= len(text)
        if self.room < 0:
            raise OutputFull

    def _builtins(self, rules: types.ModuleType) -> dict[str, Any]:
        table = {name: getattr(builtins, name) for name in PUBLIC["builtins"].split()}
        table |= {name: kind for name, kind in vars(builtins).items() if _is_error(kind)}
        table |= {"print": self._print, "type": _type_of, "__import__": self._import}
        return table | {"getattr": _reader(rules, getattr), "hasattr": _reader(rules, hasattr)}

    def _import(self, name: str, _globals: Any = None, _locals: Any = None, _names: Any = (), level: int = 0) -> Any:
        if name in INTERNAL and name in sys.modules:
            return sys.modules[name]
        if level or name not in self.modules:
            raise ImportError(f"import of {name!r} is not allowed")
        return self.modules[name]


class OutputFull(BaseException):
    """The program printed more than it may; not an Exception, so that `except Exception` lets it pass."""


class SeededRandom(random.Random):
    """A generator that never asks the system for a seed."""

    start = 0

    def seed(self, a: Any = None, version: int = 2) -> None:
        super().seed(self.start if a is None else a, version)


def _compiled(rules: types.ModuleType, tree: Any) -> types.CodeType:
    ast = rules.ast
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        last = tree.body[-1]
        target = ast.copy_location(ast.Name(VALUE, ast.Store()), last)
        tree.body[-1] = ast.copy_location(ast.Assign([target], last.value), last)
    return compile(tree, rules.FILE_NAME, "exec")


def _imported(rules: types.ModuleType, tree: Any) -> set[str]:
    names: set[str] = set()
    for node in rules.ast.walk(tree):
        if isinstance(node, rules.ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, rules.ast.ImportFrom):
            names.add(node.module)
    return names


def _module(name: str, seed: int) -> types.ModuleType:
    """Return a copy of the module that holds nothing but what the list names."""
    original, copy = import_module(name), types.ModuleType(name)
    if name == "random":
        SeededRandom.start = seed
        original = SeededRandom()
    public = {key: getattr(original, key) for key in PUBLIC[name].split()}
    if name == "random":
        public["Random"] = SeededRandom
    elif name == "collections":
        public["namedtuple"] = _namedtuple
        import_module("heapq")  # most_common would look for it after files are gone
    elif name == "functools":
        public["wraps"] = _wraps
    elif name == "datetime":
        for internal in INTERNAL:
            import_module(internal)  # before files are gone
    copy.__dict__.update(public)
    return copy


def _namedtuple(typename: str, field_names: Any) -> type:
    """Make a namedtuple from exact text only, since the original writes a function's source from it."""
    names = field_names.replace(",", " ").split() if type(field_names) is str else list(field_names)
    if type(typename) is not str or any(type(name) is not str or name.startswith("_") for name in names):
        raise TypeError("namedtuple() takes names as text that do not begin with an underscore")
    return collections.namedtuple(typename, names)


def _wraps(wrapped: Callable[..., Any]) -> Callable[..., Any]:
    """Take no further arguments: by these the original copies any attribute, a module's globals among them."""
    return functools.wraps(wrapped)


def _type_of(value: Any, /) -> type:
    if isinstance(value, type):
        raise TypeError("type() of a class is not available")
    return type(value)


def _reader(rules: types.ModuleType, read: Callable[..., Any]) -> Callable[..., Any]:
    def checked_read(value: Any, name: str, /, *default: Any) -> Any:
        if type(name) is not str or rules.attribute_problem(name):
            raise AttributeError("this attribute may not be read")
        return read(value, name, *default)

    return checked_read


def _is_error(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseException)


def _sentence(failure: BaseException, values: types.ModuleType) -> str:
    """Return "line 3: NameError: ..." for the innermost line of the program itself."""
    line, trace = None, failure.__traceback__
    if type(failure) is SyntaxError and failure.filename == "<program>":
        return f"line {failure.lineno}: SyntaxError: {values.first_line(str(failure.msg))}"
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<program>":
            line = trace.tb_lineno
        trace = trace.tb_next
    try:
        said = values.first_line(str(failure))
    except BaseException:  # the text of an error may itself be foreign code
        said = ""
    name = type(failure).__name__[:100]
    return (f"line {line}: " if line else "") + (f"{name}: {said}" if said else name)


def _write(message: Mapping[str, Any]) -> None:
    data = json.dumps(message).encode("ascii") + b"\n"
    while data:
        data = data[os.write(1, data) :]


if __name__ == "__main__":
    main()
