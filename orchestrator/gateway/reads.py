"""The statement check: SQL that could do anything but read is not taken, whether an adapter wrote it or a connector.

The first line of defence is the role, which can only select, in a session that is read-only. This check says so early,
names the word that is wrong, and covers what a role cannot forbid: settings of the session, sleeping, files of the server.
"""

from __future__ import annotations

import re
from typing import Final

_STRING: Final = re.compile(r"(?<![A-Za-z0-9_])[eE]'|'(?:[^']|'')*'")
_NAME: Final = re.compile(r'"(?:[^"]|"")*"(\s*\()?')
_HIDING: Final = re.compile(r"--|/\*|;|'|\"|`|\\|\$[A-Za-z_0-9]*\$")
_WORD: Final = re.compile(r"(\.\s*)?\b([A-Za-z_][A-Za-z0-9_]*)\b(\s*\()?")
_WRITES: Final = re.compile(
    r"insert|update|delete|merge|upsert|truncate|create|alter|drop|grant|revoke|into|copy|call|do|execute|prepare|vacuum"
    r"|reindex|lock|listen|notify|attach|detach|pragma|begin|commit|rollback|savepoint|discard|outfile|dumpfile",
    re.IGNORECASE,
)
_LOCKS: Final = re.compile(r"\bfor\s+(no\s+key\s+update|update|key\s+share|share)\b", re.IGNORECASE)
_ACTS: Final = re.compile(
    r"(pg_|lo_|dblink|xp_|sp_|utl_|dbms_).*|lowrite|loread|set_config|nextval|setval|ts_stat"
    r"|(query|cursor|table|schema|database)_to_xml.*|load_extension|load_file|writefile|readfile|sleep|benchmark|get_lock",
    re.IGNORECASE,
)
"""Functions that act, wait, run SQL that they get as text, or read what is no record."""


def what_writes(sql: str) -> str | None:
    """The first piece of `sql` by which it could do more than read, or None.

    Strings and quoted names are passed over. Comments, dollar quotes, escape strings and backslashes count as wrong,
    since they could hide words from this check.
    """
    escaped = next((found[0] for found in _STRING.finditer(sql) if found[0][0] != "'"), None)
    if escaped:
        return escaped
    bare = _STRING.sub(" 0 ", sql)
    called = next((found[0] for found in _NAME.finditer(bare) if found[1]), None)
    if called:
        return called.rstrip("( ")
    bare = _NAME.sub(" x ", bare)
    if found := _HIDING.search(bare) or _LOCKS.search(bare):
        return found[0]
    for word in _WORD.finditer(bare):
        if _WRITES.fullmatch(word[2]) and not word[1]:
            return word[2]
        if word[3] and _ACTS.fullmatch(word[2]):
            return word[2]
    return None
