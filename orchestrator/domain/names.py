"""Names of people and enterprises: the one form in which they are compared."""

from __future__ import annotations

import unicodedata

DOTS = "•・‧∙⋅◦․."
"""What people write for the middle dot of a name."""
SPACES = " \t\n\r\u00a0\u200b\u3000\ufeff"
"""What is left out."""
_PLAIN = str.maketrans(DOTS, "·" * len(DOTS), SPACES)


def plain_name(name: str) -> str:
    """A name as names are compared: NFKC, one middle dot for all its variants, no spaces.

    Rare characters are left alone: 䶮 and 龑 are two characters, and one is not silently taken for the other.
    """
    return unicodedata.normalize("NFKC", name).translate(_PLAIN)
