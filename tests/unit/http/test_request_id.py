"""Request ids: a sane one is kept, a new one is unique."""

from __future__ import annotations

import pytest

from gateway.http.request_id import RequestIds


def ids(seed: int = 1) -> RequestIds:
    return RequestIds(lambda count: bytes([seed]) * count)


@pytest.mark.parametrize(
    "given",
    [
        b"a",
        b"7",
        b"0af76519-16cd-43dd-8448-eb211c80319c",
        b"01ARZ3NDEKTSV4RRFFQ69G5FAV",
        b"Root=1-67891233-abcdef012345678912345678",
        b"a" * 128,
    ],
)
def test_a_sane_id_is_kept(given: bytes) -> None:
    assert ids().choose(given) == given.decode()


@pytest.mark.parametrize(
    "given", [None, b"", b"a" * 129, b"a b", b"a\n", b"<script>", b'a"b', b"caf\xe9", b"${x}", b"-rf", b"a,b", b"../x"]
)
def test_anything_else_is_replaced(given: bytes | None) -> None:
    chosen = ids().choose(given)
    assert len(chosen) == 32
    assert int(chosen, 16)


def test_ids_do_not_repeat_and_do_not_count() -> None:
    one, other = ids(1), ids(255)  # the second one's counter starts at its end
    made = [one.new() for _ in range(1000)] + [other.new() for _ in range(1000)]
    assert len(set(made)) == 2000
    assert {len(name) for name in made} == {32}
    assert abs(int(made[0][16:], 16) - int(made[1][16:], 16)) > 2**32
