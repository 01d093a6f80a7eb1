"""`/limits`: what several workers say of one limit, as one."""

import pytest

from gateway.ops.limits import together


@pytest.mark.parametrize(
    ("views", "whole"),
    [
        (
            [
                {"left": 3, "full_in_s": 2, "burst": 10, "shared": False},
                {"left": 4, "full_in_s": 1, "burst": 10, "shared": False},
            ],
            {"left": 7, "full_in_s": 2, "burst": 10, "held_in": "the memory of the workers"},
        ),
        (
            [{"left": 3, "shared": True}, {"left": 3, "shared": True}],
            {"left": 3, "held_in": "a store"},
        ),
        (  # of ten left in the file's count and two blocks: each worker adds its own
            [{"left": 12, "in_hand": 2, "shared": True}, {"left": 15, "in_hand": 5, "shared": True}],
            {"left": 17, "held_in": "a store"},
        ),
        (
            [{"max": 4, "in_use": 3, "left": 1, "shared": False}, {"max": 4, "in_use": 0, "left": 4, "shared": False}],
            {"max": 8, "in_use": 3, "left": 5, "held_in": "the memory of the workers"},
        ),
        ([{"unknown": "the store is away"}], {"unknown": "the store is away", "held_in": "a store"}),
    ],
)
def test_workers_together(views, whole):
    assert together(views) == whole
