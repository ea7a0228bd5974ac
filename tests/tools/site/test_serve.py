"""The local server: compressed text, the book's own page for unknown addresses."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPResponse

from tools.site import serve


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "index.html").write_text("<p>word</p>" * 1000)
    (tmp_path / "404.html").write_text("no such page here")
    (tmp_path / "face.png").write_bytes(b"\x89PNG" + bytes(range(256)) * 20)
    return tmp_path


def fetch(site: Path, address: str) -> HTTPResponse:
    async def ask() -> HTTPResponse:
        port = serve.start(site, 0)
        client = AsyncHTTPClient()
        return await client.fetch(
            f"http://127.0.0.1:{port}/{address}",
            headers={"Accept-Encoding": "gzip"},
            decompress_response=False,
            raise_error=False,
        )

    return asyncio.run(ask())


@pytest.mark.parametrize("address", ["", "index.html"])
def test_text_is_sent_compressed(site: Path, address: str) -> None:
    answer = fetch(site, address)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert len(answer.body) < (site / "index.html").stat().st_size / 10


def test_pictures_are_sent_as_they_are(site: Path) -> None:
    assert fetch(site, "face.png").body == (site / "face.png").read_bytes()


def test_an_unknown_address_gets_the_page_of_the_book(site: Path) -> None:
    answer = fetch(site, "99_nothing.html")
    assert answer.code == 404
    assert answer.body == b"no such page here"


def test_without_a_site_the_command_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["serve", "--folder", str(tmp_path)])
    with pytest.raises(SystemExit, match="make book"):
        serve.main()
