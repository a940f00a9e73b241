"""The operator's room: commands over one set of services. Imports ledger, workers, schemas."""

from flask import Flask

from console.consents import consents
from console.database import database
from console.deliveries import deliveries
from console.doctor import doctor
from console.drift import drift_group
from console.erasures import erasures
from console.forms import forms
from console.keys import keys
from console.ledger import ledger
from console.notice import notice
from console.operator import Operator
from console.processors import processors_group
from console.receipts import receipts
from console.relays import relays
from console.requests import requests
from console.stripe import stripe_group
from console.subjects import subjects
from console.witness import witness
from schemas.settings import Settings

COMMANDS = (
    *(consents, database, deliveries, doctor, drift_group, erasures, forms, keys, ledger, notice, receipts, relays),
    *(processors_group, requests, stripe_group, subjects, witness),
)


def register_commands(app: Flask, settings: Settings) -> None:
    """Add every command to the `flask` command line; each gets the same Operator."""
    app.extensions["operator"] = Operator(settings)
    for command in COMMANDS:
        app.cli.add_command(command)
