"""What recordings do, and when: pure, on whatever clock its owner has.

No I/O, no waiting, no dice of its own: a `Plan` holds what was asked for and what fate has in store
(`fates`), `Task` what is true now, a `Rule` what happens next by itself. `Recorder` takes one task
along, `Studio` all of them:

    studio = Studio(stamp=lambda at: 1_700_000_000_000 + int(at * 1000))
    recorder = studio.start(plan, 0.0)
    while (due := studio.next_due()) is not None:
        for message in studio.advance(due): ...    # what it tells, in the order of time

Times are the vendor's seconds on one monotonic axis; `stamp` makes Unix milliseconds of them. Who
wants the HTTP answers too, without HTTP, takes `emulator.account.Account`.
"""
