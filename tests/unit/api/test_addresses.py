"""Addresses and sets of them, against the standard library's own membership."""

from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.addresses import AddressSet, caller_network, parse_address


@pytest.mark.parametrize(
    ("client", "expected"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("", ""),
        ("not an address", ""),
    ],
)
def test_what_counts_as_one_caller(client, expected):
    assert caller_network(client) == expected


def test_no_address_is_none():
    assert parse_address("") is None
    assert parse_address("1.2.3") is None


def test_an_ipv4_mapped_network_holds_ipv4():
    assert parse_address("10.1.2.3") in AddressSet(["::ffff:10.0.0.0/104"])
    assert parse_address("::ffff:10.1.2.3") in AddressSet(["10.0.0.0/8"])


def test_an_empty_set_is_false_and_holds_nothing():
    nobody = AddressSet([])
    assert not nobody
    assert parse_address("192.0.2.1") not in nobody
    assert AddressSet(["::/0"])


def test_the_whole_internet():
    everybody = AddressSet(["0.0.0.0/0", "::/0"])
    assert parse_address("203.0.113.9") in everybody
    assert parse_address("2001:db8::1") in everybody


_V4 = st.integers(0, 2**32 - 1).map(IPv4Address)
_V6 = st.integers(0, 2**128 - 1).map(IPv6Address).filter(lambda address: address.ipv4_mapped is None)
_NETWORKS = st.lists(
    st.one_of(
        st.tuples(_V4, st.integers(0, 32)),
        st.tuples(_V6, st.integers(0, 128)),
    ).map(lambda pair: f"{pair[0]}/{pair[1]}"),
    max_size=6,
)


@given(_NETWORKS, st.one_of(_V4, _V6), st.data())
def test_membership_is_that_of_the_standard_library(networks, address, data):
    if networks and data.draw(st.booleans()):
        address = ip_network(data.draw(st.sampled_from(networks)), strict=False).network_address
        address = parse_address(str(address)) or address
    expected = any(address in ip_network(network, strict=False) for network in networks)
    assert (address in AddressSet(networks)) is expected
