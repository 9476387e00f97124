"""Which form an answer has, by the Accept header (RFC 9110, section 12.5.1), and what a body claims to be."""

from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache

from starlette.requests import Request

from service.errors import NotAcceptable


class Form(StrEnum):
    """The forms of answers, by media type."""

    JSON = "application/json"
    HTML = "text/html"
    PNG = "image/png"
    JPEG = "image/jpeg"
    WEBP = "image/webp"
    ZIP = "application/zip"
    TAR = "application/x-tar"
    NPY = "application/x-npy"


PICTURE_FORMS = (Form.PNG, Form.JPEG, Form.WEBP)
IMAGE_FORMS = (Form.JSON, *PICTURE_FORMS, Form.ZIP, Form.TAR, Form.NPY)
NUMBER_FORMS = (Form.JSON, Form.NPY)
SCORE_FORMS = (Form.JSON,)
NO_LIKING = (0.0, True)
# Of two pictures that the client likes as much, the one of the format that was asked for.
IMAGE_FORMS_BY_FORMAT: Mapping[str, tuple[Form, ...]] = {
    form.partition("/")[2]: tuple(sorted(IMAGE_FORMS, key=[Form.JSON, form, *IMAGE_FORMS].index))
    for form in PICTURE_FORMS
}

# Clients send the same few headers again and again.
NUM_REMEMBERED = 256


@lru_cache(NUM_REMEMBERED)
def negotiate(accept: str | None, offered: tuple[Form, ...]) -> Form:
    """Choose the offered form that the client likes best; the first where it does not mind.

    Of forms that it likes as much those come first that it names, be it by `image/*`: browsers that ask for
    a picture add `*/*`, some without saying that they like it less.

    Args:
        accept: The Accept header, None where there is none.
        offered: In the order of the server's preference.

    Raises:
        NotAcceptable: None of the offered forms is accepted; the message lists them.
    """
    if not accept or accept.strip() == "*/*":
        return offered[0]
    ranges = _parse(accept)
    likings = {form: _liking(form, ranges) for form in offered}
    best = max(offered, key=lambda form: likings[form])
    if likings[best] <= NO_LIKING:
        raise NotAcceptable(f"no such form; this can be given: {', '.join(offered)}", param="Accept")
    return best


def image_form(request: Request, output_format: str = "png") -> Form:
    """The form of an answer of images; see negotiate.

    Args:
        request: With its Accept header.
        output_format: What pictures are to be where the client does not say, as by `image/*`.
    """
    return negotiate(accept(request), IMAGE_FORMS_BY_FORMAT[output_format])


def prefers(accept: str | None, form: Form, *, to: Form) -> bool:
    """Whether a client likes one form better than another, which it gets where it does not mind.

    Args:
        accept: The Accept header, None where there is none.
        form: That is asked about.
        to: The other.
    """
    ranges = _parse(accept or "")
    return _liking(form, ranges) > _liking(to, ranges)


def accept(request: Request) -> str | None:
    """The Accept header, its lines joined; None where there is none."""
    return ",".join(request.headers.getlist("accept")) or None


def media_type(content_type: str | None) -> str:
    """The media type of a Content-Type header without its parameters, lower case, empty where none."""
    return (content_type or "").partition(";")[0].strip().lower()


def _parse(accept: str) -> dict[str, float]:
    """Media ranges with their qualities."""
    ranges = {}
    for part in accept.split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        quality = 1.0
        for parameter in parameters:
            if parameter.lower().startswith("q="):
                quality = _number(parameter[2:])
        ranges[name.lower()] = quality
    return ranges


def _number(text: str) -> float:
    try:
        return min(1.0, max(0.0, float(text)))
    except ValueError:
        return 0.0


def _liking(form: Form, ranges: Mapping[str, float]) -> tuple[float, bool]:
    """The quality of the most specific range that covers a form, and whether that names it."""
    kind = form.partition("/")[0]
    for name in (form.value, f"{kind}/*", "*/*"):
        if name in ranges:
            return ranges[name], name != "*/*"
    return NO_LIKING
