"""The packets of a camera's files on both sides, as they are needed: each file is read once, and soon forgotten."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from heldar_mirror.errors import UnreadableError
from heldar_mirror.footage.names import segment_name
from heldar_mirror.sides.recorded import Identity, Packets
from heldar_mirror.verify.streams import Stream, spacing, streamed


class Limits(NamedTuple):
    """How much is remembered: so many files, or more if they have few packets; and fewer if they have very many."""

    files: int
    packets: int
    most_packets: int


# Without digests a packet takes 12 bytes, and with them 44. A comparison needs some ten files of the primary around one
# of the mirror, more if they are short, and the digests of two.
LIMITS = Limits(16, 1 << 19, 1 << 22)
DIGEST_LIMITS = Limits(4, 1 << 17, 1 << 20)

# A track by its handler and its number among those of this handler: ids may differ between the sides.
Key = tuple[str, int]
SideName = Literal["primary", "mirror"]


class Source(Protocol):
    """A side that packets are read from."""

    def packets(self, camera_id: str, begun: int) -> Packets:
        """Return the packets of a segment by the index of its file, without digests."""

    def hashes(self, camera_id: str, begun: int) -> Packets:
        """Return the packets of a segment with their digests."""


@dataclass
class Content:
    """What a file holds: the streams of its tracks and the usual time between two packets of each, in seconds.

    `damage` says what is wrong with the file, and `unreadable` that nothing is known of it.
    """

    streams: dict[Key, Stream] = field(default_factory=dict)
    spacings: dict[Key, float] = field(default_factory=dict)
    damage: str | None = None
    unreadable: str | None = None
    identity: Identity | None = None

    def tolerance(self, key: Key) -> float:
        """Return half of the usual time between two packets of a track: of those at the same time none is mistaken."""
        return max(self.spacings.get(key, 0.0) / 2, 0.001)

    def packets(self) -> int:
        """Return the number of packets of all tracks."""
        return sum(stream.length() for stream in self.streams.values())


class Contents:
    """What the files of one camera on one side hold, given by their numbers."""

    def __init__(self, camera_id: str, side: SideName, source: Source, begun: Sequence[int]) -> None:
        """Take where the files are read, and when each begins (Unix seconds), in order."""
        self._camera_id, self._side, self._source = camera_id, side, source
        self.begun = begun
        self._kept: OrderedDict[int, Content] = OrderedDict()
        self._hashed: OrderedDict[int, Content] = OrderedDict()

    def content(self, number: int) -> Content:
        """Return what a file holds, without digests. Raises HungError."""
        return self._read(number, self._kept, LIMITS)

    def hashed(self, number: int) -> Content:
        """Return what a file holds, with digests. Raises HungError.

        Raises UnreadableError if the file was changed since it was read without them.
        """
        before, content = self.content(number), self._read(number, self._hashed, DIGEST_LIMITS)
        if content.identity != before.identity and content.unreadable is None:
            self._kept.pop(number)
            self._hashed.pop(number)
            begun = self.begun[number]
            raise UnreadableError(
                f"{self._camera_id}/{segment_name(begun)} of the {self._side} was changed while it was read: "
                "verify it again when it is written to no more"
            )
        return content

    def _read(self, number: int, kept: "OrderedDict[int, Content]", most: Limits) -> Content:
        if number in kept:
            kept.move_to_end(number)
            return kept[number]
        read = self._source.hashes if kept is self._hashed else self._source.packets
        begun = self.begun[number]
        try:
            content = content_of(begun, read(self._camera_id, begun))
        except UnreadableError as error:
            content = Content(unreadable=str(error))
        kept[number] = content
        packets = sum(each.packets() for each in kept.values())
        while len(kept) > 1 and (packets > most.most_packets or (len(kept) > most.files and packets > most.packets)):
            packets -= kept.popitem(last=False)[1].packets()
        return content


def content_of(begun: int, packets: Packets) -> Content:
    """Return the content of a file that begins at a Unix time, by its packets."""
    content = Content(damage=packets.damage, identity=packets.identity)
    for track in packets.tracks:
        number = sum(handler == track.handler for handler, _ in content.streams)
        content.streams[track.handler, number] = streamed(begun, track)
        content.spacings[track.handler, number] = spacing(track)
    return content
