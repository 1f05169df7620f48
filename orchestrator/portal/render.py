"""Rendering: one Jinja2 environment, the visitor's language, and problems as pages.

Pages are server-rendered and work without scripts, except where something has to be sealed or opened on the visitor's own
device. A page is Chinese unless the visitor asked for English.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

import orjson
from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from orchestrator.api.principals import Principal, find_principal
from orchestrator.portal import words

LANG_COOKIE: Final = "lianban_lang"
NEXT_COOKIE: Final = "lianban_next"
"""Where to go on after signing in."""

Lang = Literal["zh", "en"]
Visitor = Annotated[Principal | None, Depends(find_principal)]
"""Whoever is signed in, or None."""

_environment = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.globals.update(term=words.term, trips=words.trips, choices=words.choices, moment=words.moment)
_environment.filters["json"] = lambda value: orjson.dumps(value).decode()


def language(request: Request) -> Lang:
    """The language that the visitor chose; Chinese otherwise."""
    return "en" if request.cookies.get(LANG_COOKIE) == "en" else "zh"


def say(lang: Lang) -> Callable[..., str]:
    """`t(zh, en)` or `t(text)`: the text in one language. A text is `{zh, en}` or has both as attributes."""

    def t(text: Any, en: str | None = None) -> str:
        if en is not None:
            return en if lang == "en" else str(text)
        return str(text[lang] if isinstance(text, Mapping) else getattr(text, lang))

    return t


def page(request: Request, template: str, who: Principal | None, *, status: int = 200, **values: Any) -> HTMLResponse:
    """A page as a response; never cached, since pages are personal."""
    lang = language(request)
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    html = _environment.get_template(template).render(
        lang=lang,
        t=say(lang),
        who=who,
        here=here if request.method == "GET" else "/",
        applicant=who is not None and who.role == "applicant",
        **values,
    )
    return HTMLResponse(html, status_code=status, headers={"Cache-Control": "no-store"})


def own_path(path: str) -> str:
    """A path on this origin to go on to; "/" when it is anything else."""
    plain = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if plain and len(path) <= 2000 else "/"


def wants_page(request: Request) -> bool:
    """Whether a person looks at the answer rather than a program."""
    return not request.url.path.startswith("/api/") and "text/html" in request.headers.get("accept", "")


def problem_page(request: Request, problem: Response) -> Response:
    """A problem document (RFC 9457) as a page. Who is not signed in is sent to sign in and comes back."""
    body: dict[str, Any] = orjson.loads(bytes(problem.body))
    if problem.status_code == 401 and request.method == "GET":
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/signin?next={quote(here, safe='')}", status_code=303)
    response = page(request, "problem.html", None, status=problem.status_code, problem=body)
    if retry := problem.headers.get("retry-after"):
        response.headers["Retry-After"] = retry
    return response
