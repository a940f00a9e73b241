"""The readable answer as a PDF: tagged for screen readers (PDF/UA-1), typeset by Typst (https://typst.app/docs/)."""

import json
from pathlib import Path
from typing import Any

from workers.answers.readable import Readable

TEMPLATE = Path(__file__).parent / "answer.typ"


def format_pdf(readable: Readable) -> bytes:
    """The document as bytes. What a person wrote is data to the template, never markup."""
    import typst  # at first use: few processes ever make an answer

    inputs = {"data": json.dumps(readable.document())}
    template = TEMPLATE.read_bytes()  # as bytes, the program can read no file of ours
    made: Any
    try:
        made = typst.compile(template, sys_inputs=inputs, pdf_standards=["ua-1"])
    except typst.TypstError:  # a letter that no font here has: better a readable answer than none
        made = typst.compile(template, sys_inputs=inputs)
    return bytes(made)
