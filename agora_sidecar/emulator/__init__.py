"""The vendor's side of the contract, offline: the REST API, the callbacks, and faults on demand.

For the demo, the tests and a developer's laptop; no deployed process uses it. What lives here says
how Agora behaves, strict where Agora is strict and lenient where it is lenient, and knows nothing
of the receiver or the scheduler.

Two doors: `emulator` puts everything together and listens; `account` is the same vendor without
HTTP and without a clock of its own, for simulations. `studio` is what recordings do.
"""
