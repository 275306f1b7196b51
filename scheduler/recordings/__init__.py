"""Recordings: finding out what the callbacks did not say.

Every recording is known here by a `Session`. Evidence (events of the stream, answers to `query` and
`stop`) moves it along one literal table; when it is due, one decision is taken from what is known,
and what was learnt goes on the stream. Woken early by any hint, believing slowly, acting rarely.

`session`, `evidence`, `decide`, `patience`, `timings`, `findings`, `registration` are pure: no I/O,
no clock. `ledger` and `redis_ledger` keep sessions, `intake` folds events into them, `reconcile`
asks Agora, `corroboration` weighs a 404, `registry` and `api` serve the business server. Nothing
here reads settings.
"""
