"""Google's discovery documents of the Directory, Gmail and People APIs, applied strictly to every request.

The documents come with `googleapiclient`, a development dependency, so they are looked up only when asked for.
"""

import importlib.util
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

DOCUMENTS = "discovery_cache/documents"
APIS = ("admin.directory_v1", "gmail.v1", "people.v1")
SCALARS = {"boolean": "true|false", "integer": r"-?\d+", "number": r"-?\d+(\.\d+)?"}
JSON_TYPES: dict[str, type | tuple[type, ...]] = {
    "array": list,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "object": dict,
    "string": str,
}


class ContractViolation(Exception):
    """What the discovery document does not allow; names parameters, never their values."""


class GoogleContract:
    """Raises FileNotFoundError when the development dependency is not installed."""

    def __init__(self) -> None:
        found = importlib.util.find_spec("googleapiclient")
        if found is None or found.origin is None:
            raise FileNotFoundError("--contract needs google-api-python-client")
        folder = Path(found.origin).parent / DOCUMENTS
        documents = [json.loads((folder / f"{api}.json").read_text()) for api in APIS]
        self._methods = [method | {"api": document} for document in documents for method in methods(document)]

    def check(self, method: str, segments: Sequence[str], pairs: Sequence[tuple[str, str]], body: bytes) -> None:
        """Raises ContractViolation for an unknown path, parameter, type or enum value."""
        described = next((each for each in self._methods if fits(each, method, segments)), None)
        if described is None:
            raise ContractViolation("unknown path or method")
        known = described["api"]["parameters"] | {
            name: each for name, each in described.get("parameters", {}).items() if each["location"] == "query"
        }
        names = [name for name, _ in pairs if not known.get(name, {}).get("repeated")]
        if len(set(names)) < len(names):
            raise ContractViolation("a parameter is given twice")
        for name, value in pairs:
            check_parameter(name, value, known)
        if "request" in described:
            schemas = described["api"]["schemas"]
            check_value(document_in(body), schemas[described["request"]["$ref"]], schemas, "the body")
        elif body:
            raise ContractViolation("a body on a method that takes none")


def document_in(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError as error:
        raise ContractViolation("the body is not JSON") from error


def check_value(value: Any, shape: Mapping[str, Any], schemas: Mapping[str, Any], name: str) -> None:
    """Raises ContractViolation, however deep the value is nested."""
    shape = schemas[shape["$ref"]] if "$ref" in shape else shape
    kind = shape.get("type", "object")
    if not isinstance(value, JSON_TYPES[kind]) or (isinstance(value, bool) and kind != "boolean"):
        raise ContractViolation(f"not of type {kind}: {name}")
    if value not in shape.get("enum", [value]):
        raise ContractViolation(f"not one of the allowed values: {name}")
    if isinstance(value, list):
        for each in value:
            check_value(each, shape["items"], schemas, name)
    if isinstance(value, dict) and "properties" in shape:
        for key, each in value.items():
            if key not in shape["properties"]:
                raise ContractViolation(f"unknown field: {key}")
            check_value(each, shape["properties"][key], schemas, key)


def methods(resource: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every method of a document, however deep its resources are nested."""
    own = list(resource.get("methods", {}).values())
    return own + [method for each in resource.get("resources", {}).values() for method in methods(each)]


def fits(described: Mapping[str, Any], method: str, segments: Sequence[str]) -> bool:
    # The flat path has a name for each part, where the other may have one for several (`{+resourceName}`).
    names = described.get("flatPath", described["path"]).split("/")
    if described["httpMethod"] != method or len(names) != len(segments):
        return False
    return all(re.fullmatch(pattern_of(name), value, re.DOTALL) for name, value in zip(names, segments, strict=True))


def pattern_of(name: str) -> str:
    """`{peopleId}:deleteContact`: a part of a path that may begin with a name."""
    placed, _, rest = name.rpartition("}")
    return (".+" if placed else "") + re.escape(rest)


def check_parameter(name: str, value: str, known: Mapping[str, Any]) -> None:
    """Raises ContractViolation."""
    shape = known.get(name)
    if shape is None:
        raise ContractViolation(f"unknown parameter: {name}")
    if not re.fullmatch(SCALARS.get(shape["type"], ".*"), value, re.DOTALL):
        raise ContractViolation(f"not of type {shape['type']}: {name}")
    if "enum" in shape and value not in shape["enum"]:
        raise ContractViolation(f"not one of the allowed values: {name}")
    _, listed, fields = shape.get("description", "").partition("Valid values are:")
    is_mask = shape.get("format") == "google-fieldmask" and listed
    if is_mask and not set(value.split(",")) <= set(re.findall(r"\* (\w+)", fields)):
        raise ContractViolation(f"not one of the allowed values: {name}")
