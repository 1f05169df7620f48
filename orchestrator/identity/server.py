"""HTTP of the identity seat: OpenID endpoints for the client, pages for people. Parse, call, render.

A page answers as HTML, or as JSON where `Accept: application/json` asks for it: the same view, the same fields, the same form
posts. Pages set no script, load nothing from elsewhere and are never cached.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import httpx
import orjson
from fastapi import FastAPI, Request, Response
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic import BaseModel, ConfigDict

from orchestrator.domain import suite
from orchestrator.domain.errors import LianbanError, Refused
from orchestrator.identity import authorize, coconsent, mydata_routes, oidc, pages, provider
from orchestrator.identity.authorize import Posted, Redirect
from orchestrator.identity.mydata import MyData
from orchestrator.identity.oidc import OAuthError
from orchestrator.identity.seat import IdentitySeat
from orchestrator.problems import install, problem_of, status_of

FOLDER: Final = Path(__file__).parent
MAX_FIELDS: Final = 2000
# Not no-referrer: browsers then send `Origin: null` with a form, which no form of ours may have.
_NO_STORE: Final = {"Cache-Control": "no-store", "Referrer-Policy": "same-origin", "X-Content-Type-Options": "nosniff"}


class Documents(BaseModel):
    """The two documents of a scenario version."""

    model_config = ConfigDict(extra="forbid")

    definition: dict[str, Any]
    texts: dict[str, Any]


def create_app(seat: IdentitySeat, gateways: httpx.AsyncClient) -> FastAPI:
    """The identity seat's application. `gateways` are the connections to the departments."""
    app = FastAPI(title="Lianban identity seat", openapi_url=None, docs_url=None, redoc_url=None)
    install(app)
    app.mount("/static", StaticFiles(directory=FOLDER / "static"), name="static")
    _client_routes(app, seat)
    page = Pages(seat)
    _page_routes(app, seat, page)
    mydata_routes.add_routes(app, MyData(seat=seat, http=gateways), page, _form, page.environment)
    return app


def _client_routes(app: FastAPI, seat: IdentitySeat) -> None:
    @app.middleware("http")
    async def with_keys_in_force(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
        await seat.follow()
        return await answer(request)

    @app.exception_handler(OAuthError)
    async def oauth_error(_request: Request, error: OAuthError) -> Response:
        return _oauth_error(error)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/.well-known/openid-configuration")
    async def configuration() -> dict[str, Any]:
        return oidc.discovery(seat.issuer)

    @app.get("/jwks")
    async def jwks() -> dict[str, Any]:
        return {"keys": [{**seat.key.jwk, "alg": suite.SIGNING_ALG, "use": "sig"}]}

    @app.put("/definitions/{version}", status_code=204)
    async def put_definition(version: str, documents: Documents) -> None:
        await seat.put_definition(version, documents.definition, documents.texts)

    @app.post("/par")
    async def par(request: Request) -> Response:
        return _json(await provider.push(seat, _unique(await _form(request))), status=201)

    @app.post("/token")
    async def token(request: Request) -> Response:
        return _json(await provider.exchange(seat, _unique(await _form(request))))

    @app.get("/userinfo")
    async def userinfo(request: Request) -> dict[str, str]:
        authorization = request.headers.get("authorization", "")
        return {"sub": oidc.userinfo_subject(authorization, issuer=seat.issuer, key=seat.key, now=seat.now())}


def _page_routes(app: FastAPI, seat: IdentitySeat, page: Pages) -> None:
    @app.get("/authorize")
    async def open_flow(request: Request, client_id: str = "", request_uri: str = "") -> Response:
        async def answer() -> Response:
            flow, cookie = await authorize.open_flow(seat, client_id, request_uri)
            return page.with_cookie(_see_other(f"/flows/{flow}"), flow, None, cookie)

        return await page.guarded(request, answer)

    @app.get("/flows/{flow}")
    async def show(request: Request, flow: str) -> Response:
        async def answer() -> Response:
            cookie = request.cookies.get(_cookie_name(flow, None), "")
            return page.render(request, await authorize.show(seat, flow, cookie), cookie)

        return await page.guarded(request, answer)

    @app.post("/flows/{flow}")
    async def act(request: Request, flow: str) -> Response:
        async def answer() -> Response:
            page.check_origin(request)
            cookie = request.cookies.get(_cookie_name(flow, None), "")
            result = await authorize.act(seat, flow, cookie, _posted(await _form(request)))
            if isinstance(result, Redirect):
                return page.without_cookie(_see_other(result.url), flow, None)
            return page.after_post(request, result, cookie)

        return await page.guarded(request, answer)

    @app.get("/flows/{flow}/consents/{number}/{token}")
    async def show_consent(request: Request, flow: str, number: int, token: str) -> Response:
        async def answer() -> Response:
            cookie = request.cookies.get(_cookie_name(flow, number), "")
            view, new = await coconsent.show(seat, flow, number, token, cookie)
            response = page.render(request, view, new or cookie)
            return page.with_cookie(response, flow, number, new) if new else response

        return await page.guarded(request, answer)

    @app.post("/flows/{flow}/consents/{number}/{token}")
    async def act_consent(request: Request, flow: str, number: int, token: str) -> Response:
        async def answer() -> Response:
            page.check_origin(request)
            cookie = request.cookies.get(_cookie_name(flow, number), "")
            view = await coconsent.act(seat, flow, number, token, cookie, _posted(await _form(request)))
            return page.after_post(request, view, cookie)

        return await page.guarded(request, answer)


class Pages:
    """Renders views as HTML or JSON, and keeps the browser's side safe: cookies, origin, headers."""

    def __init__(self, seat: IdentitySeat) -> None:
        self.seat = seat
        self.secure = seat.issuer.startswith("https:")
        self.environment = Environment(
            loader=FileSystemLoader(FOLDER / "templates"), autoescape=True, undefined=StrictUndefined
        )
        self.template = self.environment.get_template("page.html")
        origins = {_origin(uri) for client in seat.clients.values() for uri in client.redirect_uris}
        # The form's last answer redirects to the client, which browsers check against form-action too.
        targets = " ".join(["'self'", *sorted(origins)])
        self.headers = {
            **_NO_STORE,
            "Content-Security-Policy": f"default-src 'none'; style-src 'self'; form-action {targets}; "
            "frame-ancestors 'none'; base-uri 'none'",
        }

    async def guarded(self, request: Request, answer: Any) -> Response:
        """The answer, or the error as a page (or, for programs, as a problem)."""
        try:
            response: Response = await answer()
        except LianbanError as error:
            if _wants_json(request):
                response = problem_of(error)
            else:
                response = self._html(request, pages.error_view(error), status_of(error), "")
        for name, value in self.headers.items():
            response.headers.setdefault(name, value)
        return response

    def after_post(self, request: Request, view: pages.View, cookie: str) -> Response:
        """A browser is sent back to the page, so that reloading posts nothing twice; errors are shown at once."""
        if view["errors"] or _wants_json(request) or view["step"] == "subjects":
            return self.render(request, view, cookie)
        return _see_other(request.url.path)

    def render(self, request: Request, view: pages.View, cookie: str) -> Response:
        """The view as the request wants it; 422 when it tells of errors."""
        status = 422 if view["errors"] else 200
        stamped = {**view, "action": request.url.path, "csrf": self.seat.form_token(cookie)}
        return _json(stamped, status) if _wants_json(request) else self._html(request, stamped, status, cookie)

    def _html(self, request: Request, view: pages.View, status: int, cookie: str) -> Response:
        declinable = "/consents/" not in request.url.path
        content = self.template.render(view=view, declinable=declinable)
        return Response(content, status, media_type="text/html; charset=utf-8")

    def check_origin(self, request: Request) -> None:
        """Raises Refused for a form that another site posts."""
        origin = request.headers.get("origin")
        if origin is not None and origin != _origin(self.seat.issuer):
            raise Refused("表单来源不正确", code="forged-form", detail_en="The form comes from another site")

    def with_cookie(self, response: Response, flow: str, number: int | None, cookie: str) -> Response:
        """The response with the browser's session for one flow."""
        response.set_cookie(
            _cookie_name(flow, number),
            cookie,
            max_age=oidc.FLOW_SECONDS,
            path=f"/flows/{flow}",
            httponly=True,
            secure=self.secure,
            samesite="lax",
        )
        return response

    def without_cookie(self, response: Response, flow: str, number: int | None) -> Response:
        """The response that ends the browser's session."""
        response.delete_cookie(_cookie_name(flow, number), path=f"/flows/{flow}")
        return response


async def _form(request: Request) -> list[tuple[str, str]]:
    """The fields of a posted form. Raises OAuthError for anything else."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind != "application/x-www-form-urlencoded":
            raise ValueError
        body = (await request.body()).decode()
        return parse_qsl(body, keep_blank_values=True, strict_parsing=bool(body), max_num_fields=MAX_FIELDS)
    except ValueError:
        raise OAuthError("invalid_request", "the body is a form (application/x-www-form-urlencoded)") from None


def _unique(fields: list[tuple[str, str]]) -> dict[str, str]:
    """OAuth parameters: none comes twice (RFC 6749 §3.1). Raises OAuthError."""
    form = dict(fields)
    if len(form) != len(fields):
        raise OAuthError("invalid_request", "a parameter is given twice")
    return form


def _posted(fields: list[tuple[str, str]]) -> Posted:
    form = dict(fields)
    return Posted(
        action=form.get("action", ""),
        fields=form,
        declined=tuple(value for name, value in fields if name == "decline"),
    )


def _oauth_error(error: OAuthError) -> Response:
    body: dict[str, Any] = {"error": error.error, "error_description": error.description}
    if error.cause is not None:
        cause = error.cause
        body["errors"] = [
            {
                "field": getattr(cause, "field", ""),
                "code": cause.code,
                "detail": cause.detail,
                "detail_en": cause.detail_en,
                "remedy": cause.remedy,
            }
        ]
    return _json(body, error.status)


def _json(body: Mapping[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json", headers=_NO_STORE)


def _see_other(url: str) -> Response:
    return Response(status_code=303, headers={"Location": url})


def _wants_json(request: Request) -> bool:
    return "application/json" in request.headers.get("accept", "")


def _cookie_name(flow: str, number: int | None) -> str:
    name = f"lianban-{flow[:10]}"
    return name if number is None else f"{name}-{number}"


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
