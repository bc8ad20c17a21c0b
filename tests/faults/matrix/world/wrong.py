"""The failures of a case. The summary counts each kind."""


class Wrong(Exception):
    """Another promise is broken."""

    kind = "other promises broken"


class FalseSuccess(Wrong):
    """It reported success, or a set has its final name, wrongly."""

    kind = "false successes"


class ProvenSetLost(Wrong):
    """A set that a restore had proven is gone or changed."""

    kind = "proven sets lost"


class SetLost(Wrong):
    """A set that must stay is gone or changed."""

    kind = "other sets lost"


class DamageMissed(Wrong):
    """Damage was not detected."""

    kind = "damage not detected"


class AlertLost(Wrong):
    """The owner has not received an alert, and the queue does not have it."""

    kind = "alerts lost"


class ToldTwice(Wrong):
    """The owner has received the same alert twice, although the first was confirmed."""

    kind = "alerts sent twice"


class WrongEnd(Wrong):
    """It ended otherwise than the table demands."""

    kind = "unexpected exits"


class Leftover(Wrong):
    """A process, a session, a lock, a container, a directory or a database was left."""

    kind = "leftovers"


class NotConverged(Wrong):
    """The next, undisturbed run does not repair everything."""

    kind = "next run did not converge"


KINDS = [FalseSuccess, ProvenSetLost, SetLost, DamageMissed, AlertLost, ToldTwice, WrongEnd, Leftover, NotConverged, Wrong]
