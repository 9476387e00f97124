"""The Accept header by RFC 9110, section 12.5.1."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.negotiation import IMAGE_FORMS, NUMBER_FORMS, Form, media_type, negotiate
from service.errors import NotAcceptable


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, Form.JSON),
        ("", Form.JSON),
        ("*/*", Form.JSON),
        (" */* ", Form.JSON),
        ("*/*;q=0.1", Form.JSON),
        ("application/json", Form.JSON),
        ("application/*", Form.JSON),
        ("image/png", Form.PNG),
        ("IMAGE/PNG", Form.PNG),
        ("image/*", Form.PNG),
        ("application/zip", Form.ZIP),
        ("image/png;q=0.5, application/zip", Form.ZIP),
        ("image/png;q=0.5, application/zip;q=0.4", Form.PNG),
        ("image/png; q=0.9 , */*;q=0.1", Form.PNG),
        ("text/html,application/xhtml+xml,image/png;q=0.9,*/*;q=0.8", Form.PNG),
        ("text/html, */*;q=0.8", Form.JSON),
        ("application/json;q=0, */*", Form.PNG),
        ("application/json;q=0, image/*;q=0, */*;q=0.1", Form.ZIP),
        ("image/jpeg", Form.JPEG),
        ("image/png;q=0, image/*", Form.JPEG),
        ("application/x-tar, application/zip;q=0.9", Form.TAR),
        ("application/x-npy", Form.NPY),
        ("application/*;q=0.3, image/*;q=0.2", Form.JSON),
        ("application/json;q=0.2, application/*;q=0.3", Form.ZIP),
        ("image/png;q=2", Form.PNG),
        ("image/webp, image/png;q=0.1", Form.WEBP),
        ("image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8", Form.PNG),
        ("image/avif,image/webp,*/*", Form.WEBP),
        ("*/*, image/*", Form.PNG),
        ("application/json, text/plain, */*", Form.JSON),
        ("text/html, */*", Form.JSON),
    ],
)
def test_the_form_that_the_client_likes_best_is_given(accept: str | None, form: Form) -> None:
    assert negotiate(accept, IMAGE_FORMS) is form


@pytest.mark.parametrize(
    "accept",
    [
        "text/html",
        "image/gif",
        "text/*",
        "image/png;q=0",
        "*/*;q=0",
        "application/json;q=nonsense",
        "application/json;q=nan",
        "nonsense",
        ",;,",
    ],
)
def test_what_cannot_be_given_is_refused_with_a_list_of_what_can(accept: str) -> None:
    with pytest.raises(NotAcceptable) as caught:
        negotiate(accept, IMAGE_FORMS)
    assert caught.value.param == "Accept"
    for form in IMAGE_FORMS:
        assert form.value in caught.value.message


def test_numbers_are_not_given_as_a_picture() -> None:
    with pytest.raises(NotAcceptable, match="application/json"):
        negotiate("image/png", NUMBER_FORMS)


@given(accept=st.text(st.characters(max_codepoint=255), max_size=60))
def test_no_header_breaks_it(accept: str) -> None:
    try:
        assert negotiate(accept, IMAGE_FORMS) in IMAGE_FORMS
    except NotAcceptable:
        return


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        (None, ""),
        ("", ""),
        ("image/png", "image/png"),
        ("Image/PNG", "image/png"),
        (" application/json ; charset=utf-8", "application/json"),
        ("multipart/form-data; boundary=x", "multipart/form-data"),
    ],
)
def test_a_media_type_is_read_without_its_parameters(content_type: str | None, expected: str) -> None:
    assert media_type(content_type) == expected
