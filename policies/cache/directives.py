"""Cache-Control and its targeted forms as directives (RFC 9111 §5.2, RFC 9213). Decides nothing from them."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.api.messages import Headers
from gateway.http.fields import is_token, split_list, unquoted
from gateway.http.structured import Item, StructuredError, parse_dictionary

Directives = dict[bytes, bytes | None]
"""By name in lower case; the argument without its quotes, None when there is none."""

LONGEST_S = 2**31  # RFC 9111 §1.2.2: what a cache takes for more than it can count
_SECONDS = frozenset((b"max-age", b"s-maxage", b"stale-while-revalidate", b"stale-if-error"))
_INVALID = b"?"  # the argument of a directive that breaks the grammar: no number, no list of fields


def parse_directives(values: Iterable[bytes]) -> Directives:
    """All fields of one name. Of a directive that is there twice the first counts (RFC 9111 §4.2.1)."""
    found: Directives = {}
    for element in split_list(b",".join(values)):
        name, equals, argument = element.partition(b"=")
        if not equals:
            found.setdefault(name.lower(), None)
        elif argument[:1] == b'"' and (len(argument) < 2 or argument[-1:] != b'"'):
            found.setdefault(name.lower(), _INVALID)
        elif name != name.strip() or argument != argument.strip():  # the grammar has no white space beside `=`
            found.setdefault(name.strip().lower(), _INVALID)
        else:
            found.setdefault(name.lower(), unquoted(argument))
    return found


def seconds(argument: bytes | None) -> int | None:
    """Delta-seconds (RFC 9111 §1.2.2); None when they are none."""
    if argument is None or not argument.isdigit():
        return None
    digits = argument.lstrip(b"0")
    return LONGEST_S if len(digits) > 10 else min(int(digits or b"0"), LONGEST_S)


def fields_of(argument: bytes | None) -> frozenset[bytes] | None:
    """The fields that a qualified no-cache or private names (§5.2.2.4, §5.2.2.7); None: it is meant for the whole."""
    names = frozenset(name.lower() for name in split_list(argument or b""))
    return names if names and all(is_token(name) for name in names) else None


def targeted(headers: Headers, names: Iterable[bytes]) -> Directives | None:
    """The first of the targeted fields that is there, valid and not empty (RFC 9213 §2.2); None: none is."""
    for name in names:
        values = headers.get_all(name)
        if not values:
            continue
        try:
            members = parse_dictionary(b",".join(values))
        except StructuredError:
            continue  # §2.1: a field that fails to parse is ignored, and the next in line counts
        said: Directives = {}
        for key, member in members.items():
            directive = key.encode("ascii")
            if not isinstance(member, Item):
                continue
            value = member.value
            if directive in _SECONDS:
                if type(value) is int:  # §2.1: one of another type is ignored, and so is not there
                    said[directive] = b"%d" % value
            elif value is not False:
                said[directive] = value.encode("latin-1") if type(value) is str else None
        if said:
            return said
    return None
