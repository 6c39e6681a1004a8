"""Webhooks, after the Standard Webhooks specification: events of the outbox, signed and sent to endpoints.

`telling` writes what happens into the outbox, `payloads` says what of it; `spreading` makes a delivery for each
endpoint that wants it, `delivering` sends them until they are taken, over `sending`, which goes only where `guard`
lets it. `endpoints` are what staff and the API set up.
"""
