"""Danbooru's query language as far as its tag limit goes: what to send, what to filter here."""

from collections.abc import Mapping
from dataclasses import dataclass

from ganime.sources import Post

# Metatags that do not count towards the limit (the server's PostQuery), and some that do.
_FREE_NAMES = """
    status rating limit is id date age filesize filetype parent child md5 width height duration
    mpixels ratio score upvote downvotes favcount embedded tagcount pixiv_id pixiv
"""
_COUNTED_NAMES = """
    user approver commenter comm noter noteupdater artcomm commentaryupdater flagger appealer
    upvoter downvoter downvote upvotes fav favgroup reacted pool note comment commentary source
    locked disapproved search pixelhash unaliased exif has ai comments notes flags children pools
    appeals approvals replacements gentags arttags copytags chartags metatags order ordfav
    ordfavgroup ordpool random
"""
_FREE = frozenset(_FREE_NAMES.split())
_COUNTED = frozenset(_COUNTED_NAMES.split())
_COUNTED_ENDINGS = ("_count", "_comments", "_notes", "_flags", "_children", "_pools")
_ORDERING = frozenset({"order", "ordfav", "ordfavgroup", "ordpool", "random", "limit"})
_OPERATORS = frozenset({"and", "or", ")"})
_MARKS = "-~"  # before a tag: not, one of


@dataclass(frozen=True, slots=True)
class Query:
    """A query divided between the server and this side.

    Attributes:
        sent: Asked of the server.
        wanted: Tags that a listed post must have besides.
        unwanted: Tags that it must not have.
    """

    sent: str
    wanted: frozenset[str] = frozenset()
    unwanted: frozenset[str] = frozenset()

    @property
    def is_whole(self) -> bool:
        """Whether the server answers all of it."""
        return not (self.wanted or self.unwanted)

    def admits(self, post: Post) -> bool:
        """Whether a listed post passes what the server was not asked about."""
        categories = (post.artist_tags, post.copyright_tags, post.character_tags, post.meta_tags)
        tags = set(post.tags).union(*categories)
        return self.wanted <= tags and not self.unwanted & tags


@dataclass(frozen=True, slots=True)
class Terms:
    """The words of a query by what may become of them.

    Attributes:
        words: All, each once, as the user wrote them.
        ordering: Metatags that set the order or size of a listing.
        fixed: Count towards the limit, and only the server understands them.
        plain: Count as well, but can be looked for in a post: tags, negated or not.
    """

    words: list[str]
    ordering: list[str]
    fixed: list[str]
    plain: list[str]

    @classmethod
    def of(cls, tags: str) -> "Terms":
        """Sort out a query as a user writes it."""
        words = list(dict.fromkeys(tags.split()))
        operators = [word for word in words if word.lower() in _OPERATORS]
        counted = [
            word for word in words if word not in operators and metatag_of(word) not in _FREE
        ]
        # A query that is more than a list of tags means nothing in parts.
        grouped = operators or any('"' in word or _opens(word) for word in words)
        plain = [] if grouped else [word for word in counted if _is_plain(word)]
        return cls(
            words,
            [word for word in words if metatag_of(word) in _ORDERING],
            [word for word in counted if word not in plain],
            plain,
        )

    @property
    def num_counted(self) -> int:
        """How many the site counts."""
        return len(self.fixed) + len(self.plain)

    def divided(self, tag_limit: int, counts: Mapping[str, int]) -> Query:
        """Send the tags that leave the fewest posts; negated ones hardly leave any out.

        Args:
            tag_limit: How many may be sent that count.
            counts: Posts of each plain tag.
        """

        def num_left(word: str) -> tuple[bool, int]:
            count = counts.get(name_of(word), 0)
            return (True, -count) if word.startswith("-") else (False, count)

        room = max(0, tag_limit - len(self.fixed))
        here = [] if room >= len(self.plain) else sorted(self.plain, key=num_left)[room:]
        return Query(
            " ".join(word for word in self.words if word not in here),
            frozenset(name_of(word) for word in here if not word.startswith("-")),
            frozenset(name_of(word) for word in here if word.startswith("-")),
        )


def name_of(word: str) -> str:
    """The tag of a plain word, negated or not, as posts spell it."""
    return word.removeprefix("-").lower()


def metatag_of(word: str) -> str:
    """Name of the metatag, empty if it is a tag: `re:zero` is one."""
    name, colon, _ = word.lower().lstrip(_MARKS + "(").partition(":")
    known = name in _FREE or name in _COUNTED or name.endswith(_COUNTED_ENDINGS)
    return name if colon and known else ""


def _opens(word: str) -> bool:
    return word.lstrip(_MARKS).startswith("(")


def _is_plain(word: str) -> bool:
    return not (metatag_of(word) or word.startswith("~") or "*" in word)
