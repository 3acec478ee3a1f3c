"""An index that says less of a wheel than the wheel says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from http.server import BaseHTTPRequestHandler
    from pathlib import Path

    from tests.e2e.conftest import Workshop

SAID = b"Metadata-Version: 2.1\nName: top\nVersion: 1.0\n\n"


def test_the_build_finds_it_and_its_advice_helps(workshop: Workshop, tmp_path: Path) -> None:
    workshop.index.add(make_wheel(tmp_path, "top", "1.0", requires=["beta>=1"]))
    workshop.index.announce_metadata = False

    def less(handler: BaseHTTPRequestHandler) -> bool:
        if not handler.path.endswith("/top-1.0-py3-none-any.whl.metadata"):
            return False
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(SAID)))
        handler.end_headers()
        handler.wfile.write(SAID)
        return True

    workshop.index.intercept = less
    text = (workshop.folder / "kaggle-env.toml").read_text(encoding="utf-8").replace('"alpha"', '"top"')
    workshop.write(text)
    workshop.good("lock")
    done = workshop.kpack("build")
    assert done.code == 5, done.out + done.err
    assert "top 1.0 needs beta>=1, which is neither packed nor in the base: so says METADATA" in done.err
    assert 'write "beta>=1" in packages' in done.err
    workshop.write(text.replace('"top"', '"top", "beta>=1"'))
    workshop.good("lock")
    workshop.good("build")
