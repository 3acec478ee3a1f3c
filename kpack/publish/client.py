"""The official client, signed in; what it refuses becomes an error of kpack, and no credential leaves this module."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import os
import re
import time
from typing import TYPE_CHECKING, Any

from kpack.errors import NetworkError, UsageError, installing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TIMEOUT = (30.0, 300.0)
"""Seconds to connect, and between two bytes of an answer; the client itself sets none and would wait for ever."""

TRIES = 5
"""How often a request is sent while Kaggle says that it is busy, or does not answer."""

BUSY = frozenset({429, 500, 502, 503, 504})
"""HTTP statuses after which the same request may be taken."""

SLOWER = frozenset({429})
"""Those of them that say for sure that nothing was done."""

_LONGEST_WAIT = 60.0
"""Seconds that a ``Retry-After`` can make a request wait."""

_QUERY = re.compile(r"(https?://[^\s?'\"]+)\?[^\s'\"]+")
"""A URL whose query may be a signature that works as a credential."""

_READ = frozenset(
    {
        "createUrl",
        "currentVersionNumber",
        "datasetFiles",
        "description",
        "dockerImage",
        "error",
        "errorMessage",
        "failureMessage",
        "fileName",
        "files",
        "invalidCompetitionSources",
        "invalidDatasetSources",
        "invalidKernelSources",
        "invalidModelSources",
        "isPrivate",
        "log",
        "metadata",
        "name",
        "nextPageToken",
        "ref",
        "status",
        "token",
        "totalBytes",
        "url",
        "versionNotes",
        "versionNumber",
        "versions",
    }
)
"""Fields of answers that kpack reads: the others may be of any type."""

_USERINFO = re.compile(r"://[^/@\s]*@")


class RefusedError(NetworkError):
    """Kaggle answered, and said no.

    ``status`` is the HTTP status, 200 when the refusal stood in a good answer; ``said`` are Kaggle's own words.
    """

    def __init__(self, said: str, *, status: int, where: str, next: str = "") -> None:  # noqa: A002 - as in KpackError
        number = "" if status == 200 else f" (HTTP {status})"
        super().__init__(f"Kaggle said no{number}: {said}", where=where, next=next)
        self.status = status
        self.said = said


class Kaggle:
    """A signed-in client."""

    def __init__(self, client: Any, username: str, secrets: frozenset[str]) -> None:
        self._client = client
        self._secrets = secrets
        self.username = username

    def ask(self, call: Callable[[Any], Any], *, where: str, again: bool = True, busy: frozenset[int] = BUSY) -> Any:
        """Return what ``call`` gets from the client; ``where`` names what is asked about.

        A Kaggle that answers with a status of ``busy`` is asked again, and with ``again`` also one that cannot be
        reached. Leave it off where a second request would do a second thing; where that does harm, say `SLOWER`, too:
        what lies between here and Kaggle can say "busy" of a request that arrived.

        Raises:
            RefusedError: Kaggle answered with an error.
            NetworkError: Kaggle cannot be reached.

        """
        import requests

        failure: NetworkError
        for attempt in range(1, TRIES + 1):
            last = attempt == TRIES
            try:
                with _silence():
                    return _held(call(self._client))
            except requests.HTTPError as error:
                response = error.response
                if response is None or response.status_code not in busy or last:
                    failure = self._refused(error, where)
                    break
                delay = pause(response.headers.get("Retry-After"), attempt)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                # A login page of a network, say, or a word that this version of the client does not know.
                failure = NetworkError(
                    f"Kaggle's client does not understand the answer ({type(error).__name__})",
                    where=where,
                    next="check that nothing answers in Kaggle's place (a proxy, a login page)\n"
                    + installing("kaggle"),
                )
                break
            except requests.RequestException as error:
                if last or not again or not isinstance(error, (requests.ConnectionError, requests.Timeout)):
                    failure = NetworkError(
                        f"Kaggle cannot be reached: {self.scrub(_innermost(error))}",
                        where=where,
                        next="check the network, then run the same command again: it looks at what is there first",
                    )
                    break
                delay = pause(None, attempt)
            time.sleep(delay)
        # Not chained: the client's exceptions can hold signed URLs and headers.
        raise failure from None

    def _refused(self, error: Any, where: str) -> RefusedError:
        status = 0 if error.response is None else error.response.status_code
        return RefusedError(self.scrub(_words(error)), status=status, where=where, next=_advice(status))

    def scrub(self, text: str) -> str:
        """Return ``text`` without credentials: neither the user's own nor signatures in URLs."""
        return _scrubbed(text, self._secrets)


def connect() -> Kaggle:
    """Sign in with what the official client finds: a token, an API key or its own login.

    Raises:
        UsageError: the client is not installed, or finds no credentials.
        NetworkError: Kaggle cannot be reached, or does not take the credentials.

    """
    if importlib.util.find_spec("kaggle") is None or importlib.util.find_spec("kagglesdk") is None:
        raise UsageError("this needs Kaggle's own client", next=installing("kaggle"))
    import requests

    failure: NetworkError | UsageError
    try:
        with _silence():
            api = _signed_in()
            client = _patient(api)
    except SystemExit:
        failure = _not_signed_in()
    except requests.HTTPError as error:
        status = 0 if error.response is None else error.response.status_code
        failure = RefusedError("the credentials are not taken", status=status, where="Kaggle", next=_advice(401))
    except requests.RequestException as error:
        failure = NetworkError(
            f"Kaggle cannot be reached: {_scrubbed(_innermost(error), _held_secrets())}",
            where="signing in",
            next="check the network and the proxy",
        )
    except ImportError as error:
        failure = UsageError(f"Kaggle's own client cannot be imported: {error}", next=installing("kaggle"))
    else:
        values = api.config_values
        kept = {str(values[key]) for key in ("token", "key") if values.get(key)}
        return Kaggle(client, str(values.get("username") or ""), frozenset(kept | _held_secrets()))
    raise failure from None


def _signed_in() -> Any:
    """Import the client, which signs in as it is imported, and sign in again to hear why when that failed."""
    # With VERBOSE the client prints its requests, headers and all.
    loud = {name: os.environ.pop(name) for name in ("VERBOSE", "VERBOSE_OUTPUT") if name in os.environ}
    try:
        import kaggle
    finally:
        os.environ.update(loud)
    if not kaggle.api.config_values.get("auth_method"):
        kaggle.api.authenticate()
    return kaggle.api


def _patient(api: Any) -> Any:
    """Return the client of a signed-in ``api``, with timeouts."""
    from requests.adapters import HTTPAdapter

    class Patient(HTTPAdapter):
        def send(self, request: Any, stream: Any = False, timeout: Any = None, *rest: Any, **settings: Any) -> Any:
            return super().send(request, stream, timeout or _TIMEOUT, *rest, **settings)

    client = api.build_kaggle_client()
    session = client.__enter__().http_client()._session  # noqa: SLF001 - the client has no other way to set timeouts
    session.mount("https://", Patient())
    session.mount("http://", Patient())
    return client


def _scrubbed(text: str, secrets: frozenset[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, "…")
    return _USERINFO.sub("://", _QUERY.sub(r"\1?…", text))


def _held_secrets() -> frozenset[str]:
    held = (os.environ.get(name, "") for name in ("KAGGLE_API_TOKEN", "KAGGLE_KEY", "KAGGLE_API_V1_TOKEN"))
    return frozenset(value for value in held if value)


def _not_signed_in() -> UsageError | NetworkError:
    from kagglesdk.kaggle_env import get_access_token_from_env

    with _silence():
        token, place = get_access_token_from_env()
    if token:
        place = "~/.kaggle/access_token" if place == "access_token" else place
        return RefusedError(
            f"the token of {place} is not valid, or it has expired", status=401, where="Kaggle", next=_advice(401)
        )
    return UsageError(
        "Kaggle's client finds no credentials",
        next="kaggle auth login\nor set KAGGLE_API_TOKEN to a token from the page www.kaggle.com/settings, under API",
    )


def _advice(status: int) -> str:
    if status == 401:
        return "sign in again: kaggle auth login, or a new token in KAGGLE_API_TOKEN (www.kaggle.com/settings, API)"
    if status in (403, 404):
        return "check the name, and whether the account that is signed in may do this"
    if status == 409:
        return "another change is under way there: wait a minute, then run the same command again"
    if status == 429:
        return "Kaggle limits how often it is asked: wait some minutes"
    return ""


def _words(error: Any) -> str:
    """Return what Kaggle itself said in the body of an error, else the HTTP reason; never the URL."""
    response = error.response
    if response is None:
        return "no answer"
    try:
        said = response.json()
    except ValueError:
        said = None
    if isinstance(said, dict):
        for key in ("message", "error", "errorMessage"):
            if isinstance(said.get(key), str) and said[key]:
                return " ".join(said[key].split())[:500]
    return str(response.reason or "no reason given")


def _innermost(error: BaseException) -> str:
    """Return the short reason at the bottom of a connection error: the layers above it repeat the URL."""
    seen: BaseException = error
    while True:
        inner = getattr(seen, "reason", None) or (seen.args[0] if seen.args else None)
        if not isinstance(inner, BaseException):
            break
        seen = inner
    text = str(seen).rpartition(">: ")[2] or type(seen).__name__
    return text.rpartition("): ")[2] if "with url:" in text else text


def pause(asked: str | None, attempt: int) -> float:
    """Return seconds to wait: what ``Retry-After`` asks, else twice as long each time."""
    with contextlib.suppress(TypeError, ValueError):
        return min(max(float(asked or ""), 0.0), _LONGEST_WAIT)
    return float(0.5 * 2 ** (attempt - 1))


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep what the client prints away from the answer: stdout is kpack's, and it prints what it should not."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def _held(answer: Any) -> Any:
    """Return an answer whose fields, as far as they are read, have the types that the client only declares.

    Raises:
        TypeError: one is of another type.

    """
    for field in getattr(type(answer), "_fields", ()):
        if field.json_name not in _READ:
            continue
        value = getattr(answer, field.private_field_name)
        listed = type(field.serializer).__name__ == "ListSerializer"
        if value is not None and listed is not isinstance(value, list):
            raise TypeError(field.json_name)
        for item in value if listed else (value,):
            if field.field_type in (str, int, bool) and not isinstance(item, field.field_type | None):
                raise TypeError(field.json_name)
            _held(item)
    return answer


def filled(kind: Any, **values: Any) -> Any:
    """Return a request of the client's class ``kind`` with these fields; it refuses fields that it does not know."""
    request = kind()
    for name, value in values.items():
        setattr(request, name, value)
    return request


def shown(service: str, method: str, request: Any) -> dict[str, object]:
    """Return a request as it would go over the wire, for ``--dry-run``."""
    return {"call": f"{service}/{method}", "body": json.loads(request.to_json())}
