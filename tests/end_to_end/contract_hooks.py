"""What schemathesis cannot know: pictures, which JSON Schema can only call binary, and forms' limits."""

import base64

import schemathesis
from hypothesis import strategies

from service.api.uploads import MULTIPART
from service.vae.images import FORMATS
from tests.pictures import file_of, noise, picture

FILES = {
    media_type: [file_of(picture(noise(height, 9, 3)), name) for height in (1, 32)]
    for media_type, name in FORMATS.items()
}
every_file = strategies.sampled_from([file for files in FILES.values() for file in files])

for media_type, files in FILES.items():
    schemathesis.openapi.media_type(media_type, strategies.sampled_from(files))
schemathesis.openapi.format("binary", every_file)
schemathesis.openapi.format("byte", every_file.map(lambda file: base64.b64encode(file).decode()))


@schemathesis.hook
def filter_case(context: schemathesis.HookContext, case: schemathesis.Case) -> bool:
    """Leave out forms with a list in place of a value: one of none is no field, one of one is the value."""
    if case.media_type != MULTIPART or not isinstance(case.body, dict):
        return True
    values = [value for name, value in case.body.items() if name != "image"]
    return not any(isinstance(value, list) and len(value) < 2 for value in values)
