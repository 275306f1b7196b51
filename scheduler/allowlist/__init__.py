"""The allow-list: never a gap, never a hole.

Asked, parsed and judged by itself each time: `source` asks Agora, `guard` says which values may be
let in (pure), `addresses` keeps each address's state from poll to poll (pure), `book_file` remembers
it on disk, `plan` says what a target lacks (pure), `targets` know how to read and write one kind of
list each, `sync` is the loop body. An answer that is odd changes nothing; what is on disk is applied
before the first poll; the next round starts from what a target says, not from memory.
"""
