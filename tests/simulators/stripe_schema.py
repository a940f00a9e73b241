"""Stripe's form encoding and the part of JSON Schema that its description uses: pure functions."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

KEY = re.compile(r"([A-Za-z0-9_.]+)((?:\[[^\[\]]*\])*)")
ANSWER_TYPES: dict[str, type | tuple[type, ...]] = {
    "array": list,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "object": dict,
    "string": str,
}
Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """A request that keeps the contract: the operation, what stood in its path, its typed parameters."""

    method: str
    template: str
    path_values: tuple[str, ...]
    parameters: Mapping[str, Any]


class ContractViolation(Exception):
    """What the description does not allow; names parameters, never their values."""


def decode_brackets(pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """`a[b][0]=x` becomes {"a": {"b": {"0": "x"}}}. Raises ContractViolation."""
    decoded: dict[str, Any] = {}
    for key, value in pairs:
        match = KEY.fullmatch(key)
        if match is None:
            raise ContractViolation(f"malformed parameter name: {key}")
        names = [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])]
        place = decoded
        for name in names[:-1]:
            place = place.setdefault(name, {})
            if not isinstance(place, dict):
                raise ContractViolation(f"both a value and a group: {key}")
        last = names[-1] or str(len(place))  # `a[]` takes the next position
        if last in place:
            raise ContractViolation(f"given twice: {key}")
        place[last] = value
    return decoded


def typed(value: Any, schema: Schema, where: str) -> Any:
    """A decoded form value as the type that the schema gives it. Raises ContractViolation."""
    if "anyOf" in schema:
        return _typed_choice(value, schema["anyOf"], where)
    kind = schema.get("type", "string")
    if kind == "object":
        return _typed_object(value, schema, where)
    if kind == "array":
        return _typed_array(value, schema, where)
    if not isinstance(value, str):
        raise ContractViolation(f"not a single value: {where}")
    return _typed_scalar(value, schema, kind, where)


def _typed_choice(value: Any, choices: Sequence[Schema], where: str) -> Any:
    """The first choice that fits; else the complaint of the one that got as far as naming a parameter."""
    complaints = []
    for choice in choices:
        try:
            return typed(value, choice, where)
        except ContractViolation as violation:
            complaints.append(violation)
    raise max(complaints, key=lambda each: "parameter" in str(each))


def _typed_object(value: Any, schema: Schema, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ContractViolation(f"not a group: {where}")
    for name in schema.get("required", ()):
        if name not in value:
            raise ContractViolation(f"missing parameter: {where}[{name}]")
    result = {}
    for name, each in value.items():
        shape = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
        if not isinstance(shape, Mapping):
            raise ContractViolation(f"unknown parameter: {where}[{name}]")
        result[name] = typed(each, shape, f"{where}[{name}]")
    return result


def _typed_array(value: Any, schema: Schema, where: str) -> list[Any]:
    if not isinstance(value, dict) or list(value) != [str(position) for position in range(len(value))]:
        raise ContractViolation(f"not a list: {where}")
    return [typed(each, schema["items"], f"{where}[]") for each in value.values()]


def _typed_scalar(value: str, schema: Schema, kind: str, where: str) -> Any:
    if len(value) > schema.get("maxLength", len(value)):
        raise ContractViolation(f"too long: {where}")
    if "enum" in schema and value not in schema["enum"]:
        raise ContractViolation(f"not one of the allowed values: {where}")
    pattern = {"integer": r"-?\d+", "number": r"-?\d+(\.\d+)?", "boolean": "true|false"}.get(kind)
    if pattern is None:
        return value
    if not re.fullmatch(pattern, value):
        raise ContractViolation(f"not of type {kind}: {where}")
    return value == "true" if kind == "boolean" else int(value) if kind == "integer" else float(value)


def conform(value: Any, schema: Schema, components: Mapping[str, Schema], where: str = "answer") -> None:
    """Required keys, types, nulls and enums of an answer; keys newer than the description are allowed.

    Raises ContractViolation.
    """
    if "$ref" in schema:
        schema = components[schema["$ref"].rpartition("/")[2]]
    if not schema or (value is None and schema.get("nullable")):
        return
    if "anyOf" in schema:
        _conform_choice(value, schema["anyOf"], components, where)
        return
    if not isinstance(value, ANSWER_TYPES[schema["type"]]):
        raise ContractViolation(f"not of type {schema['type']}: {where}")
    if "enum" in schema and value not in schema["enum"]:
        raise ContractViolation(f"not one of the allowed values: {where}")
    if isinstance(value, list):
        for each in value:
            conform(each, schema["items"], components, f"{where}[]")
    elif isinstance(value, dict):
        _conform_object(value, schema, components, where)


def _conform_object(value: Mapping[str, Any], schema: Schema, components: Mapping[str, Schema], where: str) -> None:
    missing = [name for name in schema.get("required", ()) if name not in value]
    if missing:
        raise ContractViolation(f"lacks {', '.join(missing)}: {where}")
    for name, each in value.items():
        conform(each, schema.get("properties", {}).get(name, {}), components, f"{where}.{name}")


def _conform_choice(value: Any, choices: Sequence[Schema], components: Mapping[str, Schema], where: str) -> None:
    for choice in choices:
        try:
            conform(value, choice, components, where)
        except ContractViolation:
            continue
        return
    raise ContractViolation(f"none of the allowed shapes: {where}")
