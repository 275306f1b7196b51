"""The allow-list: never a gap, never a hole.

`source` asks Agora, `guard` says which values may be let in (pure), `addresses` keeps each
address's state from poll to poll (pure), `book_file` remembers it on disk, `plan` says what a
target lacks (pure), `targets` read and write one kind of list each, `sync` is the loop body,
`audit` the record of it. An odd answer changes nothing; what is on disk is applied before the first
poll; each round starts from what a target says, not from memory.
"""
