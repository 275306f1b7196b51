"""Agora's side of `query` and `stop`, told what to answer."""

from collections.abc import Callable

from agora_sidecar.agora.errors import ApiError, NoWorkerError
from agora_sidecar.agora.recordings import File, Recording
from agora_sidecar.agora.replies import QueryReply, StopReply

HOST = "api.example"


class FakeAgoraClient:
    """Answers each recording as arranged: a status, an error, or whatever a callable says.

    A recording that nobody arranged is unknown to it, at each of its `hosts`. `asked` and `stopped` record the calls,
    `before_reply` is called while an answer is on its way.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.stopped: list[str] = []
        self.hosts = [HOST]
        self.hosts_that_answered = {HOST}
        self.before_reply: Callable[[], None] = lambda: None
        self._queries: dict[str, int | ApiError] = {}
        self._stops: dict[str, str | ApiError] = {}
        self._files: dict[str, tuple[File, ...]] = {}

    def will_answer(self, sid: str, answer: int | ApiError, *, files: tuple[str, ...] = ()) -> None:
        """From now on `query` has this status, or fails like this."""
        self._queries[sid] = answer
        self._files[sid] = tuple(File(name=name) for name in files)

    def will_stop(self, sid: str, answer: str | ApiError) -> None:
        """From now on `stop` answers with this uploading status, or fails like this."""
        self._stops[sid] = answer

    def has_answered(self, host: str) -> bool:
        return host in self.hosts_that_answered

    async def query(self, recording: Recording, *, avoid: str = "") -> QueryReply:
        self.asked.append(recording.sid)
        host = next((host for host in self.hosts if host != avoid), HOST)
        answer = self._queries.get(recording.sid, no_worker("query", host=host))
        self.before_reply()
        if isinstance(answer, ApiError):
            raise answer
        files = self._files.get(recording.sid, ())
        return QueryReply(
            host=host, status=answer, files=files, slice_start_ms=None, uploading_status="", body={}
        )

    async def stop(self, recording: Recording, *, async_stop: bool = True) -> StopReply:
        self.stopped.append(recording.sid)
        answer = self._stops.get(recording.sid, "")
        self.before_reply()
        if isinstance(answer, ApiError):
            raise answer
        return StopReply(host=HOST, uploading_status=answer, files=(), body={})


def no_worker(call: str, *, host: str = HOST) -> NoWorkerError:
    """The vendor's own 404."""
    return NoWorkerError(call, host=host, status=404, code=404, reason="failed to find worker")
