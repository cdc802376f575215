"""A certificate for one run's service, made by openssl: nobody else trusts it, and it ends with the run."""

from dataclasses import dataclass

from bench.errors import EnvironmentLacks
from bench.lab.hosts import command
from bench.lab.servers.debian_root import building_folder

DAYS = "7"
"""Longer than any run; a run that goes on makes another."""


@dataclass(frozen=True)
class Certificate:
    """In PEM; it is its own authority."""

    certificate: str
    key: str


def make_certificate(server_name: str) -> Certificate:
    """A self-signed certificate of `server_name`, with a key on P-256, as most services have today.

    Raises EnvironmentLacks where openssl cannot.
    """
    with building_folder() as folder:
        certificate, key = folder / "certificate.pem", folder / "key.pem"
        try:
            command.run(
                [
                    *("openssl", "req", "-x509", "-nodes", "-days", DAYS, "-subj", f"/CN={server_name}"),
                    *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
                    *("-addext", f"subjectAltName=DNS:{server_name}"),
                    *("-keyout", str(key), "-out", str(certificate)),
                ]
            )
        except command.CommandFailed as fault:
            raise EnvironmentLacks(
                "Making a certificate for the service", fault.seen, "Install openssl (service.tls needs it)."
            ) from fault
        return Certificate(certificate.read_text(), key.read_text())
