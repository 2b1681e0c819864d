"""Types of expressions before they run: text, number, truth, list, json, or any where nothing is known.

Conservative: a clash is reported only where evaluation would surely fail if it came there.
"""

import ast
from collections.abc import Mapping

from menon.flowcharts.expression_errors import quoted
from menon.flowcharts.functions import TYPES, Function

_NUMERIC = frozenset({"number", "truth"})
_SIZED = frozenset({"text", "list", "json"})
_SYMBOLS = {"Add": "+", "Sub": "-", "Mult": "*", "Div": "/", "FloorDiv": "//", "Mod": "%", "Pow": "**"}
_ORDER = {"Lt": "<", "LtE": "<=", "Gt": ">", "GtE": ">="}
_TAKES = {"+": "two numbers, two texts or two lists", "*": "two numbers, or a text or list and a number"}


def infer(node: ast.expr, functions: Mapping[str, Function], types: Mapping[str, str]) -> tuple[str, list[str]]:
    """Return the type of an expression's value, and the clashes in it, in words."""
    inference = _Inference(functions, {name: kind if kind in TYPES else "any" for name, kind in types.items()})
    return inference.of(node), list(dict.fromkeys(inference.clashes))


def surely_truth(node: ast.expr, functions: Mapping[str, Function]) -> bool:
    """Say whether the value is a truth value, whatever the variables are."""
    return infer(node, functions, {})[0] == "truth"


class _Inference:
    def __init__(self, functions: Mapping[str, Function], types: dict[str, str]):
        self.functions, self.types, self.clashes = functions, types, list[str]()

    def of(self, node: ast.expr) -> str:
        """Return the type of a node, and note the clashes below it."""
        rule = getattr(self, f"_of_{type(node).__name__}", None)
        return rule(node) if rule else "any"

    def _of_Constant(self, node: ast.Constant) -> str:
        if isinstance(node.value, bool):
            return "truth"
        if isinstance(node.value, (int, float)):
            return "number"
        return "text" if isinstance(node.value, str) else "any"

    def _of_Name(self, node: ast.Name) -> str:
        return self.types.get(node.id, "any")

    def _of_List(self, node: ast.List | ast.Tuple) -> str:
        for part in node.elts:
            self.of(part)
        return "list"

    _of_Tuple = _of_List

    def _of_Dict(self, node: ast.Dict) -> str:
        for key, value in zip(node.keys, node.values, strict=True):
            kind = self.of(key) if key else "any"
            if key is not None and kind not in ("text", "any"):
                self.clashes.append(f"the keys of a json value must be text, and {_named(key, kind)}")
            self.of(value)
        return "json"

    def _of_IfExp(self, node: ast.IfExp) -> str:
        self.of(node.test)
        return _joined([self.of(node.body), self.of(node.orelse)])

    def _of_BoolOp(self, node: ast.BoolOp) -> str:
        return _joined([self.of(part) for part in node.values])

    def _of_UnaryOp(self, node: ast.UnaryOp) -> str:
        kind = self.of(node.operand)
        if isinstance(node.op, ast.Not):
            return "truth"
        if kind in _SIZED:
            sign = "-" if isinstance(node.op, ast.USub) else "+"
            self.clashes.append(f"{sign} takes a number, and {_named(node.operand, kind)}")
        return "number"

    def _of_BinOp(self, node: ast.BinOp) -> str:
        left, right = self.of(node.left), self.of(node.right)
        symbol = _SYMBOLS[type(node.op).__name__]
        result = _operated(symbol, left, right)
        if result is not None:
            return result
        takes = _TAKES.get(symbol, "two numbers")
        self.clashes.append(f"{symbol} takes {takes}, and {_both(node.left, left, node.right, right)}")
        return "any"

    def _of_Compare(self, node: ast.Compare) -> str:
        parts = [node.left, *node.comparators]
        kinds = [self.of(part) for part in parts]
        for i, compare in enumerate(node.ops):
            self._compared(compare, parts[i], kinds[i], parts[i + 1], kinds[i + 1])
        return "truth"

    def _compared(self, compare: ast.cmpop, left: ast.expr, one: str, right: ast.expr, two: str) -> None:
        symbol = _ORDER.get(type(compare).__name__)
        both = _both(left, one, right, two)
        if symbol is not None:
            alike = one == two or {one, two} <= _NUMERIC
            if "json" in (one, two) or not (alike or "any" in (one, two)):
                self.clashes.append(f"{symbol} compares two numbers, two texts or two lists, and {both}")
        elif isinstance(compare, (ast.In, ast.NotIn)):
            if two in _NUMERIC:
                self.clashes.append(f"`in` takes a text, list or json on the right, and {_named(right, two)}")
            elif two == "text" and one not in ("text", "any"):
                self.clashes.append(f"`in` looks for a text in a text, and {both}")

    def _of_Attribute(self, node: ast.Attribute) -> str:
        kind = self.of(node.value)
        if kind not in ("json", "any"):
            self.clashes.append(f"`.{node.attr}` takes a json value, and {_named(node.value, kind)}")
        return "any"

    def _of_Subscript(self, node: ast.Subscript) -> str:
        kind, sliced = self.of(node.value), isinstance(node.slice, ast.Slice)
        if sliced:
            self._bounds(node.slice)
        key = "any" if sliced else self.of(node.slice)
        if kind in _NUMERIC or (sliced and kind == "json"):
            self.clashes.append(f"[..] takes a text, list or json, and {_named(node.value, kind)}")
        elif (kind == "json" and key in (*_NUMERIC, "list", "json")) or (kind in ("text", "list") and key in _SIZED):
            wanted = "text" if kind == "json" else "a whole number"
            self.clashes.append(f"[..] of a {kind} takes {wanted}, and {_named(node.slice, key)}")
        return kind if kind == "text" or (sliced and kind == "list") else "any"

    def _bounds(self, node: ast.expr) -> None:
        assert isinstance(node, ast.Slice)
        for part in (node.lower, node.upper, node.step):
            if part is not None and (kind := self.of(part)) in _SIZED:
                self.clashes.append(f"a slice takes whole numbers, and {_named(part, kind)}")

    def _of_ListComp(self, node: ast.ListComp | ast.GeneratorExp) -> str:
        self._comprehension(node.generators, [node.elt])
        return "list"

    _of_GeneratorExp = _of_ListComp

    def _of_DictComp(self, node: ast.DictComp) -> str:
        self._comprehension(node.generators, [node.key, node.value])
        return "json"

    def _comprehension(self, generators: list[ast.comprehension], made: list[ast.expr]) -> None:
        outside = self.types
        self.types = dict(outside)
        for generator in generators:
            kind = self.of(generator.iter)
            if kind in _NUMERIC:
                self.clashes.append(f"`for` takes a list, text or json, and {_named(generator.iter, kind)}")
            for name in (part.id for part in ast.walk(generator.target) if isinstance(part, ast.Name)):
                single = isinstance(generator.target, ast.Name) and kind in ("text", "json")
                self.types[name] = "text" if single else "any"
            for condition in generator.ifs:
                self.of(condition)
        for part in made:
            self.of(part)
        self.types = outside

    def _of_Call(self, node: ast.Call) -> str:
        kinds = [self.of(part) for part in node.args]
        for keyword in node.keywords:
            self.of(keyword.value)
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        function = self.functions.get(name)
        if function is None:
            return "any"
        for part, kind, wanted in zip(node.args, kinds, _spread(function.takes, len(kinds)), strict=False):
            if not _fits(kind, wanted):
                self.clashes.append(f"{name}() takes {_listed(wanted)}, and {_named(part, kind)}")
        return function.returns


def _operated(symbol: str, left: str, right: str) -> str | None:
    """Return the type of an operation's result, None if it surely fails."""
    pair = {left, right}
    if pair <= _NUMERIC:
        return "number"
    if symbol == "+":
        if pair & {"json"} or ("any" not in pair and left != right):
            return None
        known = next(iter(pair - {"any"}), "any")
        return "number" if known in _NUMERIC else known
    if symbol == "*":
        if "json" in pair or not pair & {"any", *_NUMERIC}:
            return None
        sequence = pair & {"text", "list"}
        return next(iter(sequence)) if sequence else "any"
    return None if pair & _SIZED else "number"


def _joined(kinds: list[str]) -> str:
    return kinds[0] if len(set(kinds)) == 1 else "any"


def _spread(takes: tuple[str, ...] | None, number: int) -> list[str]:
    wanted = list(takes or ())
    if wanted and wanted[-1] == "...":
        wanted = wanted[:-1] + [wanted[-2]] * number if len(wanted) > 1 else []
    return wanted


def _fits(kind: str, wanted: str) -> bool:
    allowed = wanted.split("|")
    return kind == "any" or "any" in allowed or kind in allowed or (kind == "truth" and "number" in allowed)


def _listed(wanted: str) -> str:
    first, _, last = wanted.replace("|", ", ").rpartition(", ")
    return f"{first} or {last}" if first else last


def _named(node: ast.expr, kind: str) -> str:
    return (
        f"`{quoted(ast.unparse(node))}` is a {kind}"
        if kind != "truth"
        else f"`{quoted(ast.unparse(node))}` is a truth value"
    )


def _both(left: ast.expr, one: str, right: ast.expr, two: str) -> str:
    named = [_named(part, kind) for part, kind in ((left, one), (right, two)) if kind != "any"]
    return " and ".join(named)
