"""Keep the world as Agora says it is. Two loops, and a timetable that runs them.

The allow-list loop asks Agora for the addresses of its notification servers, decides which are
admitted, and makes every firewall target say the same: read, plan, guard, apply, read back, record.
An odd answer changes nothing; an address that disappears stays admitted for a grace time.

The recordings loop folds the stream's events into a ledger, asks Agora about recordings that have
gone silent, stops those that are owed a stop, and puts what it found out on the stream: for every
recording exactly one `closed`.
"""
