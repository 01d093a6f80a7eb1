"""What does not fit together over all files: names, identities, limits, and what nobody uses."""

from gateway.compile.checks.certificates import check_certificates
from gateway.compile.checks.facts import Facts, facts_of
from gateway.compile.checks.identities import check_identities
from gateway.compile.checks.names import check_names
from gateway.compile.checks.routes import check_routes
from gateway.compile.checks.tiers import check_tiers
from gateway.compile.checks.unused import check_unused

__all__ = [
    "Facts",
    "check_certificates",
    "check_identities",
    "check_names",
    "check_routes",
    "check_tiers",
    "check_unused",
    "facts_of",
]
