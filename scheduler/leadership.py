"""Who may write to shared things: a lease in the store with a fencing number.

A holder that was paused for longer than its lease does not know that another one leads. So whoever
writes under a lease hands its `token` to the store, which compares it in the step that writes.
"""

from uuid import uuid4

from agora_sidecar.keys import Keys
from agora_sidecar.process.clock import Clock
from agora_sidecar.store import Redis, Script

# The lease's value is "holder:fence". Answers the fence (0: somebody else leads), whether it is a
# new one, and how far the counter is.
_HOLD = """
local held = redis.call('GET', KEYS[1])
if held and string.match(held, '^(.*):%d+$') ~= ARGV[1] then
  return {0, 0, tonumber(redis.call('GET', KEYS[2]) or '0')}
end
local fence, fresh = held and string.match(held, ':(%d+)$'), 0
if not fence then fence, fresh = redis.call('INCR', KEYS[2]), 1 end
redis.call('SET', KEYS[1], ARGV[1] .. ':' .. fence, 'PX', ARGV[2])
return {tonumber(fence), fresh, tonumber(redis.call('GET', KEYS[2]) or '0')}
"""

_RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""


class Lease:
    """One holder's claim to lead in what `name` says, for `length` seconds at a time.

    The fencing number grows with every change of holder. Where it went backwards, the store has
    come back without what it knew: `emptied` stays true until `note_refilled`.
    """

    def __init__(
        self, client: Redis, keys: Keys, name: str, *, length: float, clock: Clock
    ) -> None:
        self.length = length
        self.emptied = False
        self._clock = clock
        self._keys = [keys.lease(name), keys.lease(name) + ":fence"]
        self._holder = uuid4().hex
        self._fence = 0
        self._until = 0.0
        self._highest = 0
        self._hold = Script(client, _HOLD)
        self._release = Script(client, _RELEASE)

    @property
    def fence(self) -> int | None:
        """The fencing number while the lease is held by this clock; None otherwise."""
        return self._fence if self._fence and self._clock.monotonic() < self._until else None

    @property
    def token(self) -> str:
        """What the store compares before it writes: the lease's value as we last set it."""
        return f"{self._holder}:{self._fence}"

    async def hold(self) -> int | None:
        """Acquire or renew; the fencing number, or None while somebody else leads.

        Raises:
            StoreError: the store did not answer; the lease runs out by itself.
        """
        asked = self._clock.monotonic()
        fence, fresh, counter = await self._hold(
            keys=self._keys, args=[self._holder, max(1, int(self.length * 1000))]
        )
        if counter < self._highest or (fresh and fence <= self._highest):
            self.emptied = True
        self._highest = counter
        self._fence, self._until = fence, asked + self.length
        return fence or None

    def note_refilled(self) -> None:
        """What had to be written back after the store was emptied is there again."""
        self.emptied = False

    async def release(self) -> None:
        """Let somebody else lead at once.

        Raises:
            StoreError: the lease runs out by itself.
        """
        if self._fence:
            await self._release(keys=self._keys[:1], args=[self.token])
            self._fence = 0
