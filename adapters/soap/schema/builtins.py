"""The built-in simple types of XML Schema (part 2 §3) and their soapenc twins. Knows their names and descent only."""

from __future__ import annotations

from typing import Final

from adapters.soap.schema.model import SOAP_ENC_11, SOAP_ENC_12, XSD, ComplexType, Particle, SimpleType, Wildcard, clark

BASES: Final[dict[str, str]] = {
    "anyAtomicType": "anySimpleType",
    **dict.fromkeys(
        (
            *("string", "boolean", "decimal", "float", "double", "duration", "dateTime", "time", "date"),
            *("gYearMonth", "gYear", "gMonthDay", "gDay", "gMonth", "hexBinary", "base64Binary", "anyURI"),
            *("QName", "NOTATION"),
        ),
        "anySimpleType",
    ),
    "normalizedString": "string",
    "token": "normalizedString",
    "language": "token",
    "NMTOKEN": "token",
    "Name": "token",
    "NCName": "Name",
    "ID": "NCName",
    "IDREF": "NCName",
    "ENTITY": "NCName",
    "integer": "decimal",
    "nonPositiveInteger": "integer",
    "negativeInteger": "nonPositiveInteger",
    "long": "integer",
    "int": "long",
    "short": "int",
    "byte": "short",
    "nonNegativeInteger": "integer",
    "unsignedLong": "nonNegativeInteger",
    "unsignedInt": "unsignedLong",
    "unsignedShort": "unsignedInt",
    "unsignedByte": "unsignedShort",
    "positiveInteger": "nonNegativeInteger",
}
_LISTS: Final = {"NMTOKENS": "NMTOKEN", "IDREFS": "IDREF", "ENTITIES": "ENTITY"}

INTEGER_BOUNDS: Final[dict[str, tuple[int | None, int | None]]] = {
    "integer": (None, None),
    "nonPositiveInteger": (None, 0),
    "negativeInteger": (None, -1),
    "nonNegativeInteger": (0, None),
    "positiveInteger": (1, None),
    "long": (-(2**63), 2**63 - 1),
    "int": (-(2**31), 2**31 - 1),
    "short": (-(2**15), 2**15 - 1),
    "byte": (-128, 127),
    "unsignedLong": (0, 2**64 - 1),
    "unsignedInt": (0, 2**32 - 1),
    "unsignedShort": (0, 2**16 - 1),
    "unsignedByte": (0, 255),
}


def builtin_types() -> dict[str, SimpleType | ComplexType]:
    """A fresh set, by Clark name: types remember who derives from them, so schemas share none."""
    made: dict[str, SimpleType] = {"anySimpleType": SimpleType(clark(XSD, "anySimpleType"))}

    def make(local: str) -> SimpleType:
        if local not in made:
            base = make(BASES[local])
            made[local] = SimpleType(clark(XSD, local), builtin=local, base=base)
            base.derived.append(made[local])
        return made[local]

    for local in BASES:
        make(local)
    for local, item in _LISTS.items():
        made[local] = SimpleType(
            clark(XSD, local), builtin=local, variety="list", base=made["anySimpleType"], item=made[item]
        )
        made["anySimpleType"].derived.append(made[local])
    types: dict[str, SimpleType | ComplexType] = {clark(XSD, local): made_type for local, made_type in made.items()}
    # XSD 1.0 part 1 §3.4.7: the ur-type takes anything, skipped over where nothing is declared
    anything = ComplexType(
        clark(XSD, "anyType"),
        mixed=True,
        content=Particle(Wildcard(process="lax"), 0, 1 << 62),
        any_attribute=Wildcard(process="lax"),
    )
    types[anything.name] = anything
    types[clark(XSD, "ur-type")] = anything  # the 1999 drafts' name, still seen in encoded answers
    made["anySimpleType"].base = None
    anything.derived.append(made["anySimpleType"])
    # SOAP 1.1 §5.2.1: soapenc:string is xsd:string with id and href, which encoded reading resolves beforehand
    for encoding in (SOAP_ENC_11, SOAP_ENC_12):
        for local, simple in made.items():
            types[clark(encoding, local)] = simple
        types[clark(encoding, "base64")] = made["base64Binary"]
        types[clark(encoding, "Array")] = ComplexType(clark(encoding, "Array"), base=anything)
        types[clark(encoding, "Struct")] = anything
    return types
