"""Real pictures where the contract asks for pictures, which JSON Schema can only call binary."""

import base64

import schemathesis
from hypothesis import strategies

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
