"""The local spool: where an event is safe on this machine's disk until the store has it.

`journal` is one SQLite file; `salvage` saves what a damaged one still holds; `folder` says which
file is whose; `spool` is the journal on a thread of its own; `drain` gives back what is waiting;
`copies` says how long what was given back is kept, in case the store forgets it.
"""
