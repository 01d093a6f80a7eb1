"""`scripts/load` before any load: names, callers, hosts, and what it says when they are wrong."""

import pytest

from loadtests.load import checks
from loadtests.load.__main__ import main
from loadtests.load.plan import Caller, Plan, read_level, write_level
from loadtests.load.preflight import PreflightError, read_callers
from loadtests.load.recorder import Second, Tally
from loadtests.load.stage import free_ports


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["partners", "steady"], "did you mean partner?"),
        (["partner", "stedy"], "ramp, steady, spike, soak, breakpoint"),
        (["partner", "steady", "--host", "gateway:80"], "begins with http://"),
        (["partner", "steady", "--callers", "x"], "needs --host"),
        (["partner", "steady", "--level", "0"], "--level"),
        (["partner", "soak", "--host", "http://gateway"], "soak needs --ops"),
        (
            ["partner", "steady", "--host", "http://gateway", "--record"],
            "--record is for a gateway that is started here",
        ),
    ],
)
def test_wrong_arguments_are_answered_with_the_right_ones(arguments, said, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_nobody_there(capsys, tmp_path):
    assert (
        main(["partner", "steady", "--host", f"http://127.0.0.1:{free_ports(1)[0]}", "--out", str(tmp_path / "out")])
        == 2
    )
    said = capsys.readouterr().err
    assert "cannot be reached" in said
    assert "no load was sent" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- {name: a, token: '${env:SURELY_NOT_SET}'}", "the environment has no SURELY_NOT_SET"),
        ("- {name: a, tokn: x}", "unknown field tokn"),
        ("a: b", "write a list"),
        ("[", "no YAML"),
    ],
)
def test_callers_that_cannot_be_read(tmp_path, text, said):
    path = tmp_path / "callers.yaml"
    path.write_text(text)
    with pytest.raises(PreflightError, match=said):
        read_callers(path)


def test_callers_with_a_token_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("A_TOKEN", "e.y.J")
    path = tmp_path / "callers.yaml"
    path.write_text('- {name: a, token: "${env:A_TOKEN}"}\n- {name: b, token: x, noisy: true, rate: 5, burst: 5}\n')
    assert read_callers(path) == (Caller("a", "e.y.J"), Caller("b", "x", noisy=True, rate=5, burst=5))


def test_a_plan_is_read_as_it_was_written(tmp_path):
    plan = Plan("partner", "http://gw", 2, 64, (Caller("a", "t"),))
    plan.write(tmp_path)
    assert Plan.read(tmp_path) == plan
    assert (tmp_path / "plan.json").stat().st_mode & 0o077 == 0
    assert read_level(tmp_path) == 0.0
    write_level(tmp_path, 12.5)
    assert read_level(tmp_path) == 12.5


def test_executed_once_is_counted(tmp_path):
    created = tmp_path / "created-0.txt"
    created.write_text("a/1\na/2\n")
    assert checks.executed_once([created], {"a/1": 1, "a/2": 1, "a/3": 1, "sluice board": 1, "preflight/x": 1}).held
    assert not checks.executed_once([created], {"a/1": 2, "a/2": 1}).held
    assert not checks.executed_once([created], {"a/1": 1}).held


@pytest.mark.parametrize(("admitted", "held"), [(220, True), (200, True), (260, False), (120, False)])
def test_a_limit_holds_within_its_tolerance(admitted, held):
    tally = Tally()
    tally.codes.update({"200": admitted, "429": 1000})
    caller = Caller("noisy", noisy=True, rate=20, burst=20)
    assert checks.limit_held(caller, [Second(0, {"noisy": tally})], 10.0, 1).held is held


def test_a_wrong_answer_is_never_overlooked():
    tally = Tally()
    tally.codes["200"] = 10
    assert checks.right_answers([Second(0, {"read": tally})]).held
    tally.wrong["another's order"] = 1
    assert not checks.right_answers([Second(0, {"read": tally})]).held


@pytest.mark.parametrize(("answered", "held"), [(1000, True), (950, True), (700, False)])
def test_fewer_calls_than_were_asked_for_are_seen_beside_noise(answered, held):
    calls, noise = Tally(), Tally()
    calls.codes["200"], noise.codes["429"] = answered, 5000
    assert checks.load_sent(1000, [Second(0, {"read order": calls, "noisy": noise})]).held is held
