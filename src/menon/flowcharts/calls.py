"""How expressions call functions and, in metered evaluations, what each call and operation is charged."""

import ast
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from menon.flowcharts import operations
from menon.flowcharts.limits import METER, size, weigh

Values = Mapping[str, Any]
Run = Callable[[Values], Any]

# Names that plain Python knows: a block that calls one is meant for the sandbox, not misspelt.
_PYTHON_NAMES = (
    "ascii bin bool bytes callable chr complex dict divmod enumerate filter format frozenset hash hex id isinstance "
    "issubclass iter list map next oct ord pow print repr set slice str tuple type"
)
PYTHON = frozenset(_PYTHON_NAMES.split())


def parameters(signature: inspect.Signature) -> str:
    """Write the parameters of a function as a caller has to give them."""
    parts: list[str] = []
    for name, part in signature.parameters.items():
        if part.kind is part.VAR_POSITIONAL:
            parts.append("...")
        elif part.default is part.empty:
            parts.append(name)
        else:
            plain = part.default is None or isinstance(part.default, (str, int, float))
            parts.append(f"{name}={part.default!r}" if plain else f"{name}=...")
    return ", ".join(parts)


def checked(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """Guard a function from elsewhere: its result must be a value, its KeyError no unset variable."""

    def guarded(*arguments: Any, **options: Any) -> Any:
        try:
            result = call(*arguments, **options)
        except KeyError as error:
            raise ValueError(f"{name}() found no {error}") from error
        weigh(result)
        return operations.settle(result) if type(result) in (int, float) else result

    return guarded


def calling(call: Callable[..., Any], positional: list[Run], keywords: list[tuple[str, Run]], node: ast.Call) -> Run:
    if keywords:
        return lambda values: call(
            *[part(values) for part in positional], **{key: part(values) for key, part in keywords}
        )
    if len(positional) == 1:
        if isinstance(node.args[0], ast.Name):
            name = node.args[0].id
            return lambda values: call(values[name])
        only = positional[0]
        return lambda values: call(only(values))
    if len(positional) == 2:
        first, second = positional
        return lambda values: call(first(values), second(values))
    return lambda values: call(*[part(values) for part in positional])


def charging_result(operation: Callable[[Any, Any], Any]) -> Callable[[Values, Any, Any], Any]:
    def charged(values: Values, left: Any, right: Any) -> Any:
        result = operation(left, right)
        values[METER].charge(size(result))
        return result

    return charged


def charging(compare: Callable[[Any, Any], bool]) -> Callable[[Values, Any, Any], bool]:
    def charged(values: Values, left: Any, right: Any) -> bool:
        values[METER].charge(weigh(left) + weigh(right))
        return compare(left, right)

    return charged


def unmetered(compare: Callable[[Any, Any], bool]) -> Callable[[Values, Any, Any], bool]:
    return lambda values, left, right: compare(left, right)


def charging_call(call: Callable[..., Any]) -> Callable[[Values, list[Any], dict[str, Any]], Any]:
    def charged(values: Values, arguments: list[Any], options: dict[str, Any]) -> Any:
        meter = values[METER]
        for argument in arguments:
            meter.charge(weigh(argument))
        result = call(*arguments, **options)
        meter.charge(size(result))
        return result

    return charged
