"""One side's recordings, read through a child process, so that a volume that hangs costs that side alone."""

import time
from array import array
from pathlib import Path
from typing import Any, Literal

from heldar_mirror.children import AT_LOW_PRIORITY, KILL_WITH_US, PYTHON
from heldar_mirror.errors import GoneError, HungError, UnreadableError, VolumeError
from heldar_mirror.footage.names import segment_name
from heldar_mirror.sides.child import Child
from heldar_mirror.sides.ends import JOIN_SECONDS
from heldar_mirror.sides.fragments import decode
from heldar_mirror.sides.protocol import EndedError, Frame
from heldar_mirror.sides.recorded import Files, Fragments, Identity, Packets, PacketTrack, Recorded

READER = (*PYTHON, "-m", "heldar_mirror.sides.reader")

# A volume that does not answer for so long hangs. At the lowest priority a busy disk may keep us waiting.
ANSWER_SECONDS = 20.0
IDLE_ANSWER_SECONDS = 120.0
# A side that hangs is not asked again for so long, since each question would take that time.
AGAIN_SECONDS = 300.0


class Side:
    """The recordings of one side, below its root: a context manager, which keeps one child process.

    It is not thread-safe: each thread has a Side of its own. With the id of a `volume`, it reads only while that is the
    one at the root. With `idle`, the child reads at the lowest priority for processor and disk.

    Each method raises HungError if the volume does not answer, VolumeError if it is not the right one, and
    UnreadableError if a file or directory can't be read; that is GoneError if a segment is not there.
    """

    def __init__(
        self,
        name: Literal["primary", "mirror"],
        root: Path,
        *,
        volume: str = "",
        idle: bool = False,
        patience: float | None = None,
    ) -> None:
        self.name = name
        self.root = root.absolute()
        self._volume = volume
        self._idle = idle
        self._patience = patience or (IDLE_ANSWER_SECONDS if idle else ANSWER_SECONDS)
        self._child: Child | None = None
        # This has the time at which the last child hung (monotonic seconds), and the child, which may be stuck.
        self._hung: tuple[float, Child] | None = None

    def __enter__(self) -> "Side":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the child. A later question starts a new one."""
        if self._child:
            child, self._child = self._child, None
            child.end()

    def cameras(self) -> list[str]:
        """Return the names of the directories that are named like a camera."""
        found: list[str] = self._ask(self.root, about="cameras").fields["cameras"]
        return found

    def free_bytes(self) -> int:
        """Return the free space of the volume."""
        found: int = self._ask(self.root, about="free").fields["free"]
        return found

    def names(self, camera_id: str, since: float, until: float) -> "array[int]":
        """Return when a camera's segments begin, by their names (Unix seconds), in order.

        They are those from `since` on and before `until`, and the last one before `since`, which may reach into that
        time. They are none if the camera has no directory.
        """
        question = {"about": "names", "camera_id": camera_id, "since": since, "until": until}
        return array("q", self._ask(self.root / camera_id, **question).blocks[0])

    def files(self, camera_id: str) -> Files:
        """Return all segments of a camera, with what tells a changed one without reading it."""
        fields, blocks = self._ask(self.root / camera_id, about="files", camera_id=camera_id)
        begun, sizes, modified = (array("q", block) for block in blocks)
        return Files(begun, sizes, modified, fields["missing"])

    def entries(self, *path: str) -> list[str]:
        """Return the names in a directory, which is given by the steps to it from the root."""
        found: list[str] = self._ask(self.root.joinpath(*path), about="entries", steps=path).fields["names"]
        return found

    def content(self, *path: str) -> bytes:
        """Return the content of a small file, which is given by the steps to it from the root."""
        return self._ask(self.root.joinpath(*path), about="content", steps=path).blocks[0]

    def recorded(
        self, camera_id: str, since: float, until: float, segment_seconds: float, join_seconds: float = JOIN_SECONDS
    ) -> Recorded:
        """Return a camera's segments in a time, as in `names`, with their ends.

        `segment_seconds` is the camera's usual length of a segment. An end within `join_seconds` of the next beginning
        is that beginning: without that, names seem to leave holes of up to a second. The end of an open segment is that
        of what was written of it; the primary's ffmpeg writes in bursts, which may be many seconds apart.
        """
        question = {"since": since, "until": until, "segment_seconds": segment_seconds, "join_seconds": join_seconds}
        fields, (begun, ends) = self._ask(self.root / camera_id, about="recorded", camera_id=camera_id, **question)
        damaged, unread = (
            dict(sorted((int(at), text) for at, text in fields[kind].items())) for kind in ("damaged", "unread")
        )
        return Recorded(array("q", begun), array("d", ends), damaged, unread, fields["missing"])

    def packets(self, camera_id: str, begun: int) -> Packets:
        """Return the packets of a segment by the index of its file, without digests."""
        return self._packets(camera_id, begun, hashes=False)

    def hashes(self, camera_id: str, begun: int) -> Packets:
        """Return the packets of a segment with their digests."""
        return self._packets(camera_id, begun, hashes=True)

    def layout(self, camera_id: str, begun: int) -> Fragments:
        """Return the fragments of a segment by the index of its file."""
        fields, blocks = self._ask_file(camera_id, begun, about="layout")
        return Fragments(decode(blocks), fields["coding"], fields["damage"], fields["unknown"])

    def sha256(self, camera_id: str, begun: int) -> tuple[bytes, Identity]:
        """Return the SHA-256 of a segment's file, and what the file was when its reading began."""
        fields, (digest,) = self._ask_file(camera_id, begun, about="sha256")
        return digest, Identity(*fields["identity"])

    def identity(self, camera_id: str, begun: int) -> Identity:
        """Return what a segment's file is, without reading it."""
        return Identity(*self._ask_file(camera_id, begun, about="identity").fields["identity"])

    def drop(self, camera_id: str, begun: int) -> None:
        """Take a segment's file out of the page cache, so that it is read from the disk the next time."""
        self._ask_file(camera_id, begun, about="drop")

    def _packets(self, camera_id: str, begun: int, *, hashes: bool) -> Packets:
        fields, blocks = self._ask_file(camera_id, begun, about="packets", hashes=hashes)
        tracks = []
        for number, (track_id, handler, timescale) in enumerate(fields["tracks"]):
            sizes, times, durations, keyframes, digests = blocks[5 * number : 5 * number + 5]
            columns = array("I", sizes), array("q", times), array("I", durations)
            tracks.append(PacketTrack(track_id, handler, timescale, *columns, keyframes, digests))
        return Packets(tracks, fields["damage"], fields["cut"], Identity(*fields["identity"]))

    def _ask_file(self, camera_id: str, begun: int, **question: Any) -> Frame:
        return self._ask(self.root / camera_id / segment_name(begun), camera_id=camera_id, begun=begun, **question)

    def _ask(self, path: Path, **question: Any) -> Frame:
        """Return the answer to a question, which is about a path."""
        answer = self._answer(question)
        if "volume" in answer.fields:
            raise VolumeError(answer.fields["volume"])
        if "no root" in answer.fields:
            raise self._unreadable(answer.fields["no root"])
        if "gone" in answer.fields:
            raise GoneError(f"the {self.name}'s recording {path} is not there any more")
        if "unreadable" in answer.fields:
            raise UnreadableError(f"cannot read the {self.name}'s {path}: {answer.fields['unreadable']}")
        return answer

    def _answer(self, question: dict[str, Any]) -> Frame:
        """Return what a child answers. If it ends, a new one is asked once more."""
        if self._hung:
            since, child = self._hung
            if time.monotonic() - since < AGAIN_SECONDS or child.is_alive():
                raise self._hangs()  # another child would hang as well
        try:
            return self._ask_child(question)
        except (EndedError, BrokenPipeError):
            pass  # the child was killed, perhaps since the last question
        try:
            return self._ask_child(question)
        except (EndedError, BrokenPipeError) as error:
            raise self._unreadable(f"the process that reads them failed twice: {error}") from None

    def _ask_child(self, question: dict[str, Any]) -> Frame:
        try:
            self._child = self._child or Child(self._command(), self._patience)
        except OSError as error:
            raise self._unreadable(f"no process can be started that reads them: {error}") from None
        child = self._child
        try:
            return child.ask(question)
        except TimeoutError:
            self.close()
            self._hung = time.monotonic(), child
            raise self._hangs() from None
        except BaseException:
            self.close()  # or the answer would be taken for that of the next question, after a Ctrl-C for example
            raise

    def _command(self) -> list[str]:
        priority = AT_LOW_PRIORITY if self._idle else ()
        return [*KILL_WITH_US, *priority, *READER, str(self.root), self._volume]

    def _unreadable(self, reason: str) -> UnreadableError:
        return UnreadableError(f"cannot read the {self.name}'s recordings in {self.root}: {reason}")

    def _hangs(self) -> HungError:
        return HungError(
            f"the {self.name}'s volume at {self.root} does not answer within {self._patience:g} s: is it hung?"
        )
