"""The ground both processes stand on, and the command line on top.

A module lives here only if both processes need it, or it states a fact about Agora or about our
Redis keys, or it is the command line (`cli`) or the vendor's side for development (`emulator`).
Its name is a noun a newcomer can guess: never `utils`, `helpers`, `common`, `base` or `misc`.
What one process uses lives in that process (`receiver`, `scheduler`).
"""

__version__ = "0.1.0"
