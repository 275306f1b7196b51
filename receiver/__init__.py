"""Accept notifications: verify, store once, answer fast.

The promise: 200 only after the notice is safe. Never lose, never trust, never think: nothing here
calls Agora, reads the ledger or decides anything about a recording.

`app` joins the parts; `inlet` is the HTTP server and its limits; `webhook` is the handler;
`inbox` commits what arrived together as one batch.
"""
