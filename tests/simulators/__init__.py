"""Simulators of WordPress, Stripe and Google: processes of their own that refuse what the vendor would refuse.

Each runs as `python -m tests.simulators.wordpress|stripe|google --port N --journal FILE` on 127.0.0.1 and
needs the runtime dependencies only. `process.SimulatorProcess` starts one for a test. Every request becomes
one line of the journal; faults are planned by `POST /_control/faults` (see `faults.py` for the fields).
"""
