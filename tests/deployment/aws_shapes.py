"""Checks a request against the service model that botocore ships, enums and patterns included.

botocore's own validator knows types, required members, unknown members and lower bounds only.
"""

import re
from collections.abc import Iterator
from typing import Any

import botocore.session
from botocore.model import Shape
from botocore.validate import ParamValidator

# Outside the basic plane Java writes surrogates, Python a range of code points.
_SURROGATES = (r"\uD800\uDC00-\uDBFF\uDFFF", r"\uD800\uDBFF-\uDC00\uDFFF")


def request_faults(service: str, operation: str, request: dict[str, Any]) -> list[str]:
    """What the service would refuse, as sentences. A token that the client draws may be absent."""
    model = botocore.session.get_session().get_service_model(service).operation_model(operation)
    drawn = dict.fromkeys(model.idempotent_members, "drawn-by-the-client")
    complete = {**drawn, **request}
    report = ParamValidator().validate(complete, model.input_shape)
    found = [report.generate_report()] if report.has_errors() else []
    return found + list(_faults(complete, model.input_shape, operation))


def _faults(value: Any, shape: Shape, place: str) -> Iterator[str]:
    if shape.type_name == "structure" and isinstance(value, dict):
        for name, inner in value.items():
            if name in shape.members:
                yield from _faults(inner, shape.members[name], f"{place}.{name}")
    elif shape.type_name == "map" and isinstance(value, dict):
        yield from _bounds(len(value), shape, place)
        for key, inner in value.items():
            yield from _faults(key, shape.key, f"{place} key {key!r}")
            yield from _faults(inner, shape.value, f"{place}[{key!r}]")
    elif shape.type_name == "list" and isinstance(value, list):
        yield from _bounds(len(value), shape, place)
        for index, inner in enumerate(value):
            yield from _faults(inner, shape.member, f"{place}[{index}]")
    elif shape.type_name == "string" and isinstance(value, str):
        yield from _bounds(len(value), shape, place)
        yield from _text_faults(value, shape, place)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _bounds(value, shape, place)


def _bounds(size: float, shape: Shape, place: str) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and size < least:
        yield f"{place}: {size} is below {least}"
    if most is not None and size > most:
        yield f"{place}: {size} is above {most}"


def _text_faults(value: str, shape: Shape, place: str) -> Iterator[str]:
    if shape.enum and value not in shape.enum:
        yield f"{place}: {value!r} is none of {shape.enum}"
    pattern = shape.metadata.get("pattern")
    if pattern and not re.fullmatch(_python(pattern), value, re.DOTALL):
        yield f"{place}: {value!r} does not match {pattern}"


def _python(pattern: str) -> str:
    for java in _SURROGATES:
        pattern = pattern.replace(java, "\U00010000-\U0010ffff")
    return pattern
