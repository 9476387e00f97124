"""What zipfile raises of a file that is damaged, cut short, or packed in a way that it does not know."""

import zipfile
import zlib

ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError)
