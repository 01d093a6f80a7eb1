"""Which policies apply to a route: route over upstream over defaults, `off`, public routes, global ones, implied ones."""

from __future__ import annotations

import pytest

from gateway.api.policy import Level
from gateway.compile import Compiled
from gateway.compile.plan import RoutePlan
from tests.unit.compile.conftest import CompileText

GATEWAY = """
version: 1
issuers: {idp: {issuer: "https://idp.example", audience: x, unknown_consumer: refuse}}
upstreams:
  up:
    targets: ["http://up:1"]
    policies: {UPSTREAM}
global: {policies: {GLOBAL}}
defaults: {policies: {DEFAULTS}}
routes:
  - name: r
    match: {path: /r}
    upstream: up
    PUBLIC
    policies: {ROUTE}
"""


def make(
    compiled: CompileText,
    route: str = "",
    upstream: str = "",
    defaults: str = "",
    everywhere: str = "",
    public: bool = False,
) -> Compiled:
    text = GATEWAY.replace("{ROUTE}", f"{{{route}}}").replace("{UPSTREAM}", f"{{{upstream}}}")
    text = text.replace("{GLOBAL}", f"{{{everywhere}}}").replace("{DEFAULTS}", f"{{{defaults}}}")
    return compiled(text.replace("PUBLIC", "public: true" if public else "# not public"))


def plan(found: Compiled) -> RoutePlan:
    assert found.plan is not None, found.errors
    return found.plan.routes["r"]


def applied(found: Compiled) -> dict[str, tuple[str, int]]:
    """name -> (level, value), without what is implied everywhere."""
    return {
        each.name: (each.level.value, getattr(each.config, "value", 0))
        for each in plan(found).policies
        if each.policy not in ("timeout", "token")
    }


def messages(found: Compiled) -> str:
    return "\n".join(map(str, found.errors))


def test_a_route_replaces_an_upstream_which_replaces_defaults(compiled: CompileText) -> None:
    found = make(
        compiled,
        route="token: {}, plain: {value: 1}",
        upstream="plain: {value: 2}, twice: {value: 3}",
        defaults="plain: {value: 4}, twice: {value: 5}, whole: {value: 6}, request_size: {value: 7}",
    )
    assert applied(found) == {
        "plain": ("route", 1),
        "twice": ("upstream", 3),
        "whole": ("defaults", 6),
        "request_size": ("defaults", 7),
    }


def test_a_policy_is_replaced_whole(compiled: CompileText) -> None:
    found = make(compiled, route="token: {}, plain: {}", defaults="plain: {value: 4, mode: shadow}")
    (own,) = [each for each in plan(found).policies if each.policy == "plain"]
    assert (own.config.mode, getattr(own.config, "value", None)) == ("enforce", 0)


@pytest.mark.parametrize("word", ["off", "false"])
def test_off_takes_an_inherited_policy_away(compiled: CompileText, word: str) -> None:
    found = make(
        compiled, route=f"token: {{}}, plain: {word}", upstream=f"twice: {word}", defaults="plain: {}, twice: {}"
    )
    assert applied(found) == {}


def test_global_policies_stand_beside_a_routes_own_and_cannot_be_removed(compiled: CompileText) -> None:
    found = make(
        compiled, route="token: {}, plain: {value: 1}, twice: off", everywhere="plain: {value: 2}, twice: {value: 3}"
    )
    assert applied(found) == {"plain": ("route", 1), "global-plain": ("global", 2), "global-twice": ("global", 3)}
    assert found.plan is not None
    assert [each.name for each in found.plan.unmatched] == ["global-plain", "global-twice"]


def test_timeout_is_always_in_force(compiled: CompileText) -> None:
    found = make(compiled, route="token: {}")
    assert [(each.policy, each.level) for each in plan(found).policies] == [
        ("token", Level.ROUTE),
        ("timeout", Level.DEFAULTS),
    ]
    assert "always in force" in messages(make(compiled, route="token: {}, timeout: off"))


def test_a_route_that_buffers_has_a_body_limit(compiled: CompileText) -> None:
    assert applied(make(compiled, route="token: {}, whole: {}"))["request_size"] == ("defaults", 0)
    assert applied(make(compiled, route="token: {}", everywhere="whole: {}"))["request_size"] == ("defaults", 0)
    found = make(compiled, route="token: {}, whole: {}, request_size: off")
    assert "needs a limit" in messages(found)
    assert "request_size" not in applied(make(compiled, route="token: {}, request_size: off"))


def test_a_public_route_drops_inherited_authenticators_and_what_needs_a_caller(compiled: CompileText) -> None:
    found = make(
        compiled, public=True, defaults="token: {}, allowed: {}, rate_limit: [{rate: 1}, {per: ip, rate: 2}], plain: {}"
    )
    assert set(applied(found)) == {"ip", "plain"}
    assert [each for each in plan(found).policies if each.policy == "token"] == []


def test_an_authenticator_beside_public_is_an_error(compiled: CompileText) -> None:
    assert "the route is public" in messages(make(compiled, public=True, route="token: {}"))


def test_a_route_without_an_authenticator_is_an_error(compiled: CompileText) -> None:
    assert "nothing says who may call: add an authenticator (token or key)" in messages(
        make(compiled, route="plain: {}")
    )
    assert "nothing says who may call" in messages(make(compiled, route="token: off", defaults="token: {}"))


def test_a_broken_authenticator_is_not_reported_as_none(compiled: CompileText) -> None:
    assert "nothing says who may call" not in messages(make(compiled, route="token: {isuer: idp}"))
    assert "nothing says who may call" not in messages(make(compiled, route="tokne: {}"))
    assert "nothing says who may call" not in messages(make(compiled, defaults="token: {isuer: idp}"))
    assert "nothing says who may call" in messages(make(compiled, route="plain: {valeu: 1}, quota: {}"))


def test_what_needs_a_caller_written_on_a_public_route_is_an_error(compiled: CompileText) -> None:
    found = make(compiled, public=True, route="rate_limit: {rate: 1}")
    assert "needs to know the caller" in messages(found)
    assert "per: ip" in messages(found)


def test_several_authenticators_need_auth(compiled: CompileText) -> None:
    assert "several authenticators (token and key)" in messages(make(compiled, route="token: {}, key: {}"))
    assert "several authenticators" in messages(make(compiled, route="key: {}", defaults="token: {}"))
    both = make(compiled, route="token: {}, key: {}, auth: {any: [token, key]}")
    assert plan(both).auth == ("any", ("token", "key"))
    inherited = make(compiled, route="key: {}", defaults="token: {}, auth: {all: [key, token]}")
    assert plan(inherited).auth == ("all", ("key", "token"))
    assert plan(make(compiled, defaults="token: {}, auth: {all: [key, token]}")).auth is None


def test_inherited_auth_is_narrowed_to_the_routes_authenticators(compiled: CompileText) -> None:
    found = make(compiled, route="token: {}, key: {}", defaults="auth: {any: [mtls, key, token]}")
    assert plan(found).auth == ("any", ("key", "token"))


def test_auth_names_the_routes_authenticators_all_of_them(compiled: CompileText) -> None:
    assert "'kye' is no authenticator of this route; did you mean 'key'?" in messages(
        make(compiled, route="token: {}, key: {}, auth: {any: [token, kye]}")
    )
    assert "auth leaves out key" in messages(make(compiled, route="token: {}, key: {}, auth: {any: [token]}"))


def test_instances_of_one_policy_differ_by_name(compiled: CompileText) -> None:
    two = make(compiled, route="token: {}, twice: [{value: 1, name: a}, {value: 2, name: b}]")
    assert applied(two) == {"a": ("route", 1), "b": ("route", 2)}
    assert "are called 'twice'" in messages(make(compiled, route="token: {}, twice: [{value: 1}, {value: 2}]"))
    assert "nothing is in it" in messages(make(compiled, route="token: {}, twice: []"))
    assert "only some policies take a list" in messages(make(compiled, route="token: {}, plain: [{}]"))


def test_shadow_authentication_beside_enforced_authorization_is_an_error(compiled: CompileText) -> None:
    assert "lets anyone pass" in messages(make(compiled, route="token: {mode: shadow}, allowed: {}"))
    assert make(compiled, route="token: {mode: shadow}, allowed: {mode: shadow}").plan is not None


def test_a_policy_says_where_it_may_stand(compiled: CompileText) -> None:
    assert "routed cannot stand here; it is written on a route" in messages(make(compiled, upstream="routed: {}"))


def test_a_policys_own_check_is_asked_once_where_it_is_written(compiled: CompileText) -> None:
    found = make(compiled, route="token: {}", defaults="plain: {value: 13}, twice: {}")
    assert [each.message for each in found.findings] == ["13 is unlucky on defaults"]
    public = make(compiled, public=True, route="plain: {value: 13}")
    assert "13 is unlucky on a public route" in messages(public)


def test_a_place_is_where_the_policy_is_written(compiled: CompileText) -> None:
    found = make(compiled, route="token: {}, twice: [{name: a}, {name: b}]", defaults="plain: {}")
    places = {each.name: str(each.place) for each in plan(found).policies}
    assert places["token"] == "gateway.yaml:15:16"
    assert places["b"] == "gateway.yaml:15:46"
    assert places["plain"] == "gateway.yaml:9:23"
