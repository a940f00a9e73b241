"""What only a vendor itself can confirm, asked of sandboxes when there are keys: `python -m tests.sandbox`.

Everything here writes. It refuses Stripe's live keys, and of Google and WordPress it touches only the address and the
group that the variables SANDBOX_ADDRESS and SANDBOX_GROUP name.
"""
