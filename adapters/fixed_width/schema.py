"""JSON Schema (2020-12, as OpenAPI 3.1 takes it) of the JSON that a codec reads and writes. Knows no HTTP."""

from __future__ import annotations

from typing import Any

from adapters.fixed_width.codec.plan.literals import condition_names, is_number
from adapters.fixed_width.codec.records import RecordCodec
from adapters.fixed_width.codec.shape import Family, Node
from adapters.fixed_width.model import Item, Kind
from adapters.fixed_width.options import Options

Schema = dict[str, Any]


def record_schema(codec: RecordCodec) -> Schema:
    """The schema of one record's value; with several record types an object with one member of their names."""
    if len(codec.plans) == 1:
        return _node(codec.plans[0].node, codec.options)
    return {
        "type": "object",
        "properties": {plan.key: _node(plan.node, codec.options) for plan in codec.plans},
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": False,
    }


def _node(node: Node, options: Options) -> Schema:
    """One occurrence."""
    return _group(node, options) if node.item.is_group else _item(node.item, options)


def _member(node: Node, options: Options) -> Schema:
    schema = _node(node, options)
    if node.item.occurs is None:
        return schema
    return {"type": "array", "items": schema, "minItems": node.item.occurs.least, "maxItems": node.item.occurs.most}


def _group(node: Node, options: Options) -> Schema:
    properties: Schema = {}
    required: list[str] = []
    choices: list[Schema] = []
    counts = {id(item.occurs.depending) for item in node.item.walk() if item.occurs and item.occurs.depending}
    for member in node.members:
        if isinstance(member, Family) and len(member.alternatives) > 1:
            named = [alternative for alternative in member.alternatives if alternative.key is not None]
            properties.update({str(alternative.key): _member(alternative, options) for alternative in named})
            if len(named) == len(member.alternatives):
                kind = "anyOf" if member.every else "oneOf"
                choices.append({kind: [{"required": [alternative.key]} for alternative in named]})
            continue
        inner = member.alternatives[0] if isinstance(member, Family) else member
        if isinstance(inner, Node) and inner.key is not None:
            properties[inner.key] = _member(inner, options)
            if inner.item.value is None and id(inner.item) not in counts and options.missing == "error":
                required.append(inner.key)
    schema: Schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    if choices:
        schema["allOf"] = choices
    return schema


def _item(item: Item, options: Options) -> Schema:
    names = condition_names(item, options)
    if is_number(item, options):
        schema = _number(item, options)
    elif item.kind in (Kind.FLOAT, Kind.DOUBLE):
        schema = {"type": "string" if options.numbers == "string" else "number"}
    elif item.kind is Kind.DATE:
        schema = {"type": "string", "format": "date-time" if "%H" in (item.date_format or "") else "date"}
    else:
        schema = {
            "type": "string",
            "maxLength": item.size // 2 if item.kind in (Kind.NATIONAL, Kind.DBCS) else item.size,
        }
    if names:
        schema = {"anyOf": [{"enum": sorted(names.values())}, schema]}
    elif item.conditions:
        schema["description"] = "Level 88: " + ", ".join(
            f"{condition.name} = {' or '.join(first.text + (f' to {last.text}' if last else '') for first, last in condition.values)}"
            for condition in item.conditions
        )
    return schema


def _number(item: Item, options: Options) -> Schema:
    assert item.picture is not None, "numbers have a picture"
    digits, scale, signed = item.picture.digits, item.picture.scale, item.picture.signed
    highest = 10**digits - 1
    if item.kind is Kind.BINARY and (item.full_range or options.trunc == "bin"):
        highest = (1 << 8 * item.size - signed) - 1
    if options.numbers == "string" or (options.numbers == "auto" and digits > 15):
        whole = max(digits - max(scale, 0), 1) + max(-scale, 0)
        fraction = rf"(\.\d{{1,{scale}}})?" if scale > 0 else ""
        return {"type": "string", "pattern": rf"^{'-?' if signed else ''}\d{{1,{whole}}}{fraction}$"}
    if scale <= 0:
        schema: Schema = {
            "type": "integer",
            "minimum": -highest * 10**-scale if signed else 0,
            "maximum": highest * 10**-scale,
        }
        return schema | ({"multipleOf": 10**-scale} if scale else {})
    top = float(f"{highest}e-{scale}")
    return {"type": "number", "minimum": -top if signed else 0, "maximum": top, "multipleOf": float(f"1e-{scale}")}
