"""HTTP of a person's own pages: parse, call, render. The same forms as HTML and, with `Accept: application/json`, as JSON."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson
from fastapi import FastAPI, Request, Response
from jinja2 import Environment

from orchestrator.domain.errors import Invalid, LianbanError, Refused
from orchestrator.identity import looks, mydata, pages
from orchestrator.identity.deliveries import VISIT_SECONDS
from orchestrator.identity.mydata import MyData

COOKIE: Final = "lianban-mydata"
_BEIJING: Final = ZoneInfo("Asia/Shanghai")


def add_routes(app: FastAPI, data: MyData, page: Any, form: Any, environment: Environment) -> None:
    """Adds the pages; `page` is the server's `Pages`, `form` reads a posted form."""
    environment.filters["moment"] = _moment
    template = environment.get_template("mydata.html")
    seat = data.seat

    def render(request: Request, view: pages.View, cookie: str) -> Response:
        status = 422 if view["errors"] else 200
        stamped = {**view, "action": pages.MYDATA_PATH, "csrf": seat.form_token(cookie)}
        if "application/json" in request.headers.get("accept", ""):
            response = Response(orjson.dumps(stamped), status, media_type="application/json")
        else:
            response = Response(template.render(view=stamped), status, media_type="text/html; charset=utf-8")
        return with_cookie(response, cookie)

    def with_cookie(response: Response, cookie: str) -> Response:
        response.set_cookie(
            COOKIE,
            cookie,
            max_age=VISIT_SECONDS,
            path=pages.MYDATA_PATH,
            httponly=True,
            secure=page.secure,
            samesite="strict",
        )
        return response

    def front(request: Request, cookie: str, errors: tuple[LianbanError, ...] = ()) -> Response:
        view = mydata.sign_in_view(development=seat.profile != "production")
        return render(request, pages.with_errors(view, errors), cookie)

    @app.get(pages.MYDATA_PATH)
    async def show(request: Request) -> Response:
        async def answer() -> Response:
            cookie = request.cookies.get(COOKIE, "") or secrets.token_urlsafe(32)
            account = await data.visitor(cookie)
            if account is None:
                return front(request, cookie)
            return render(request, await mydata.main_view(data, account), cookie)

        return await page.guarded(request, answer)  # type: ignore[no-any-return]

    @app.post(pages.MYDATA_PATH)
    async def act(request: Request) -> Response:
        async def answer() -> Response:
            page.check_origin(request)
            cookie = request.cookies.get(COOKIE, "")
            fields = dict(await form(request))
            seat.check_form_token(cookie, fields.get("csrf", ""))
            account = await data.visitor(cookie)
            try:
                if account is None:
                    return await enter(request, cookie, fields)
                return await go_on(request, cookie, account, fields)
            except (Invalid, Refused) as error:
                if account is None:
                    return front(request, cookie, (error,))
                return render(request, await mydata.main_view(data, account, errors=[error]), cookie)

        return await page.guarded(request, answer)  # type: ignore[no-any-return]

    async def enter(request: Request, cookie: str, fields: dict[str, str]) -> Response:
        if fields.get("action") != "sign-in":
            return front(request, cookie)
        new = await data.sign_in(fields.get("number", ""), fields.get("passcode", ""))
        account = await data.visitor(new)
        return render(request, await mydata.main_view(data, str(account)), new)

    async def go_on(request: Request, cookie: str, account: str, fields: dict[str, str]) -> Response:
        match fields.get("action"):
            case "look":
                return render(request, await mydata.main_view(data, account, await data.looked(account)), cookie)
            case "save":
                return _file("lianban-looks.json", looks.document(await data.looked(account), seat))
            case "withdraw":
                await data.withdraw(account, fields.get("case", ""))
            case "receipt":
                return _file("lianban-withdrawal.json", await data.receipt(account, fields.get("case", "")))
            case "sign-out":
                await data.deliveries.end_visit(cookie)
                return front(request, secrets.token_urlsafe(32))
            case _:
                pass
        return render(request, await mydata.main_view(data, account), cookie)


def _file(name: str, content: Any) -> Response:
    return Response(
        orjson.dumps(content, option=orjson.OPT_INDENT_2),
        media_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, _BEIJING).strftime("%Y-%m-%d %H:%M:%S")
