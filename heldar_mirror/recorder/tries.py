"""After which pause to try again, by how ffmpeg ended. It is imported only when one has ended.

supervisord takes no heed of how a program ended within its startsecs, so the recorder itself pauses.
"""

from .volume import NO_ROOM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .ffmpeg import Child

ONE_SESSION = "the camera ends the session: does it allow only one?"

# A camera that allows one session ends ours cleanly when the primary connects again, which takes it half a minute at
# most. If that happened this often in a row, we yield.
EARLY_SECONDS = 60.0
EARLY_ENDS = 3

# A longer pause is announced.
SHORT_PAUSE = 30.0

LOGIN, SESSION, EARLY, ROOM, OTHER = "login", "session", "early", "room", "other"

# The pauses after each end of a kind in a row, in seconds; the last one is repeated. Cameras lock an address after 5 to
# 7 failed logins, of which each ffmpeg makes one or two, and the primary's address is the same as ours.
PAUSES = {
    LOGIN: (60, 60, 900, 1800, 3600, 7200, 14400),
    SESSION: (60, 120, 240, 480, 960, 1800),
    ROOM: (5,),
    OTHER: (0.5, 1, 2, 4, 8, 15, 30),
}


def judge(lines: "list[str]", seconds: float, *, cut: bool, received: bool) -> str:
    """Return the kind of an end.

    `lines` are ffmpeg's last ones, and `seconds` how long it ran. `cut` says whether the camera ended the connection,
    and `received` whether it had sent any media.
    """
    text = "\n".join(lines)
    if any(words in text for words in NO_ROOM):
        return ROOM
    if "SETUP failed: 453" in text or "SETUP failed: 503" in text:
        return SESSION
    if not received and ("401 Unauthorized" in text or "403 Forbidden" in text):
        return LOGIN
    return EARLY if cut and received and seconds < EARLY_SECONDS else OTHER


class Tries:
    """The ends of one kind in a row.

    Refused logins count until the camera sends media, whatever comes between them: a camera that has locked our address
    may just hang up, and must not be asked for three more logins as soon as it lets us in again.
    """

    def __init__(self) -> None:
        self.kind = ""
        self.count = 0
        self._logins = 0

    def ended(self, lines: "list[str]", seconds: float, *, cut: bool, received: bool) -> None:
        """Take note of an end, as in `judge`. The first early ends may be chance; then they count as a session's."""
        kind = judge(lines, seconds, cut=cut, received=received)
        if kind == EARLY and (self.kind == SESSION or (self.kind == EARLY and self.count + 1 >= EARLY_ENDS)):
            kind = SESSION
        self._logins = 0 if received else self._logins + (kind == LOGIN)
        self.count = self.count + 1 if kind == self.kind else 1
        self.count = self._logins if kind == LOGIN else self.count
        self.kind = kind

    def camera_was_away(self) -> None:
        """Take note that the camera did not accept connections, so an end before that has this cause."""
        if self.kind in (EARLY, SESSION, OTHER):
            self.kind = ""

    @property
    def is_out_of_room(self) -> bool:
        """Whether a write has failed for want of room."""
        return self.kind == ROOM

    def notes(self, url: str, child: "Child") -> "list[str]":
        """Return what to add to ffmpeg's own words. `url` is that of the camera, which may be asked about its login."""
        notes = [ONE_SESSION] if self.kind == SESSION else []
        if self.kind == LOGIN:
            from .login import UNANSWERABLE, unanswerable

            if login := unanswerable(url, child):
                notes.append(f"{UNANSWERABLE}: {login}. Have the camera allow Basic, or Digest with MD5")
        if (pause := self.pause()) > SHORT_PAUSE:
            notes.append(f"next try in {pause / 60:.0f} min")
        return notes

    def pause(self) -> float:
        """Return the seconds to wait before the next try."""
        pauses = PAUSES[OTHER if self.kind == EARLY else self.kind]
        return pauses[min(self.count, len(pauses)) - 1]
