"""Every statement that is tried, by subject, in the order in which a reader meets them."""

from collections.abc import Mapping

from bench.walkthrough.subjects import (
    client_address,
    firewall,
    hooks,
    host_mode,
    names,
    own_stack,
    ports,
    provided_modes,
    readers,
    rights,
    rootless,
    shared_stack,
    two_addresses,
)
from bench.walkthrough.trial import Statement

SUBJECTS: Mapping[str, tuple[Statement, ...]] = {
    "The four modes": provided_modes.STATEMENTS,
    "Mapped container": shared_stack.STATEMENTS,
    "None": own_stack.STATEMENTS,
    "Host mode: the host's own stack": host_mode.STATEMENTS,
    "Host mode and the host's firewall": firewall.STATEMENTS,
    "Who may change the host's firewall": rights.STATEMENTS,
    "One port, two containers": ports.STATEMENTS,
    "Two addresses, two servers": two_addresses.STATEMENTS,
    "Which rules a request meets": hooks.STATEMENTS,
    "Which client the server sees": client_address.STATEMENTS,
    "By which name, and from where": names.STATEMENTS,
    "A rootless engine": rootless.STATEMENTS,
    "Readers' questions": readers.STATEMENTS,
}
