"""An address given to a command: by option, or by standard input so that it stays out of the shell's history."""

import sys

import click

from console.operator import Exit, stop
from schemas.address import Address, AddressRefused, parse_address

email_option = click.option("--email", required=True, help="The address; `-` reads it from standard input.")


def read_address(text: str) -> Address:
    try:
        return parse_address(sys.stdin.readline() if text == "-" else text)
    except AddressRefused as refused:
        stop(Exit.USAGE, refused.reason)
