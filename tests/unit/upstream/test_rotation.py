"""Who is in rotation: ejection and return, never too many out, slow start. Time is a number that the test chooses."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.api.settings.upstream import Outlier
from gateway.upstream.rotation import LONGEST_TIMES, RAMP_FLOOR, Rotation, TargetStanding

USUAL = Outlier()


def rotation_of(
    count: int, outlier: Outlier | None = USUAL, slow_start_s: float = 0.0
) -> tuple[Rotation, list[TargetStanding]]:
    rotation = Rotation(None, 0.0)
    members = [TargetStanding() for _ in range(count)]
    rotation.configure(outlier, slow_start_s, members, 0.0)
    return rotation, members


def fail(rotation: Rotation, one: TargetStanding, now: float, times: int = 5) -> bool:
    return [rotation.failed(one, "reset at head", now) for _ in range(times)][-1]


def test_five_failures_in_a_row_take_a_target_out() -> None:
    rotation, (bad, *_) = rotation_of(3)
    assert not fail(rotation, bad, 1.0, times=4)
    rotation.succeeded(bad)
    assert not fail(rotation, bad, 1.0, times=4)
    assert fail(rotation, bad, 1.0, times=1)
    assert bad.out
    assert (bad.ejected_until, bad.ejections, rotation.state(bad, 1.0)) == (31.0, 1, "ejected")
    assert bad.why == "5 failed calls in a row, the last: reset at head"


def test_it_returns_when_its_time_is_over() -> None:
    rotation, (bad, *_) = rotation_of(3)
    fail(rotation, bad, 0.0)
    assert rotation.review_at == 30.0
    assert not rotation.review(29.9)
    assert bad.out
    assert rotation.review(30.0)
    assert not bad.out
    assert rotation.state(bad, 30.0) == "in"
    assert rotation.review_at > 1e9


def test_ejections_in_a_row_are_longer_each_time() -> None:
    rotation, (bad, *_) = rotation_of(3)
    now, lengths = 0.0, []
    for _ in range(LONGEST_TIMES + 2):
        fail(rotation, bad, now, times=1 if lengths else 5)  # the row of failures goes on: no success came between
        lengths.append(bad.ejected_until - now)
        now = bad.ejected_until
        rotation.review(now)
    assert lengths == [30.0 * min(time, LONGEST_TIMES) for time in range(1, LONGEST_TIMES + 3)]


def test_a_target_that_served_well_meanwhile_begins_anew() -> None:
    rotation, (bad, *_) = rotation_of(3)
    for now, back in ((0.0, 30.0), (59.9, 119.9)):
        fail(rotation, bad, now)
        assert bad.ejected_until == back
        rotation.review(back)
        rotation.succeeded(bad)
    fail(rotation, bad, 180.0)  # it served for longer than it was out
    assert bad.ejected_until == 210.0


def test_never_more_than_half_rounded_down() -> None:
    for count, most in ((1, 0), (2, 1), (3, 1), (4, 2), (5, 2)):
        rotation, members = rotation_of(count)
        for one in members:
            fail(rotation, one, 0.0, times=50)
        assert sum(one.out for one in members) == most


def test_max_ejected_is_a_share() -> None:
    rotation, members = rotation_of(3, Outlier(max_ejected=1 / 3))
    for one in members:
        fail(rotation, one, 0.0)
    assert sum(one.out for one in members) == 1


def test_those_that_fail_their_checks_count_as_gone() -> None:
    rotation, (sick, bad, *_) = rotation_of(3)
    assert rotation.checked(sick, healthy=False, why="3 checks", now=0.0)
    assert not fail(rotation, bad, 0.0, times=50)
    assert not bad.out


def test_checks_leave_half_in_the_last_that_went_out_and_none_when_none_passes() -> None:
    rotation, members = rotation_of(4)
    for now, one in enumerate(members[:3]):
        rotation.checked(one, healthy=False, why="status 500", now=float(now))
    assert [one.out for one in members] == [True, True, False, False]
    assert rotation.state(members[2], 3.0) == "unhealthy"
    rotation.checked(members[3], healthy=False, why="status 500", now=4.0)
    assert all(one.out for one in members)
    rotation.checked(members[0], healthy=True, why="2 checks in a row passed", now=5.0)
    assert [one.out for one in members] == [False, True, True, False]


def test_a_check_that_passes_again_ends_an_ejection() -> None:
    rotation, (bad, *_) = rotation_of(3)
    rotation.checked(bad, healthy=False, why="status 500", now=0.0)
    rotation.checked(bad, healthy=True, why="passed", now=1.0)
    fail(rotation, bad, 2.0)
    assert bad.out
    rotation.checked(bad, healthy=False, why="status 500", now=3.0)
    assert rotation.checked(bad, healthy=True, why="2 checks in a row passed", now=4.0)
    assert not bad.out


def test_slow_start_after_ejection() -> None:
    rotation, (bad, *_) = rotation_of(3, slow_start_s=10.0)
    fail(rotation, bad, 0.0)
    rotation.review(30.0)
    assert rotation.state(bad, 30.0) == "slow_start"
    assert rotation.ramping(30.0)
    assert bad.share(30.0, 10.0) == RAMP_FLOOR
    assert bad.share(35.0, 10.0) == 0.5
    assert rotation.review_at == 40.0
    assert not rotation.review(40.0)
    assert (bad.share(40.0, 10.0), rotation.state(bad, 40.0), rotation.ramping(40.0)) == (1.0, "in", False)


def test_new_members_are_led_in_and_the_first_are_not() -> None:
    rotation, members = rotation_of(2, slow_start_s=10.0)
    assert not rotation.ramping(0.0)
    rotation.configure(Outlier(), 10.0, [*members, new := TargetStanding()], 5.0)
    assert rotation.state(new, 6.0) == "slow_start"
    assert rotation.state(members[0], 6.0) == "in"


def test_another_configuration_lets_those_back_whom_it_would_not_have_ejected() -> None:
    rotation, members = rotation_of(4)
    fail(rotation, members[0], 0.0)
    fail(rotation, members[1], 0.0)
    rotation.configure(Outlier(), 0.0, members[:2], 1.0)
    assert sum(one.out for one in members[:2]) == 1
    rotation.configure(None, 0.0, members[:2], 2.0)
    assert not any(one.out for one in members[:2])
    assert not fail(rotation, members[0], 3.0, times=50)


EVENTS = st.tuples(st.integers(0, 5), st.sampled_from(["fail", "succeed", "pass", "lapse", "review"]), st.floats(0, 40))


@given(
    count=st.integers(1, 6), share=st.sampled_from([0.1, 0.34, 0.5, 0.67, 1.0]), events=st.lists(EVENTS, max_size=80)
)
def test_whatever_happens_enough_stay_in(count: int, share: float, events: list[tuple[int, str, float]]) -> None:
    outlier = Outlier(failures=2, max_ejected=share)
    rotation, members = rotation_of(count, outlier)
    now = 0.0
    for which, what, later in events:
        now += later
        one = members[which % count]
        if what == "fail":
            rotation.failed(one, "reset at head", now)
        elif what == "succeed":
            rotation.succeeded(one)
        elif what in ("pass", "lapse") and one.healthy != (what == "pass"):
            rotation.checked(one, healthy=what == "pass", why="", now=now)
        elif now >= rotation.review_at:
            rotation.review(now)
        sick = sum(not each.healthy for each in members)
        ejected = sum(each.ejected and each.healthy for each in members)
        serving = sum(not each.out for each in members)
        assert ejected <= int(share * count + 1e-9)
        if sick == count:
            assert serving == 0
        elif share <= 0.5 or sick:
            assert serving >= (count + 1) // 2
